// A run that goes on elsewhere: on another machine, with another version of the program.
#include <filesystem>

#include "lithe/model/checkpoint.h"
#include "lithe/spec/config_io.h"
#include "support/program.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::ProgramResult;
using testing::read_all;
using testing::run;
using testing::TemporaryFolder;
using testing::tiny_config;

struct TinyRun {
    TemporaryFolder folder;
    std::string config = tiny_config(folder), path = folder.file("run");

    ProgramResult train(const std::vector<std::string>& more) const {
        std::vector<std::string> all = {"train", config, "--run", path, "--json"};
        all.insert(all.end(), more.begin(), more.end());
        return run(all);
    }
    Json last_start() const { return Json::parse(read_all(path + "/run.json"))["starts"].back(); }
    std::string newest() const { return list_checkpoints(path)[0].folder; }
};

TEST(MovedRun, ThreadsPrecisionAndPartsMayChangeWhichIsToldAndRecorded) {
    const TinyRun tiny;
    const auto first = tiny.train({"--max-steps", "10", "--set", "train.precision=fp32"});
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_TRUE(tiny.last_start()["changed"].empty());
    const auto same = tiny.train({"--max-steps", "12", "--set", "train.precision=fp32"});
    ASSERT_EQ(same.code, 0) << same.err;
    EXPECT_EQ(same.err.find("changed "), std::string::npos) << same.err;
    const auto moved = tiny.train({"--max-steps", "40", "--set", "train.precision=bf16", "--set", "train.threads=2"});
    ASSERT_EQ(moved.code, 0) << moved.err;
    EXPECT_EQ(moved.json()["steps"], 40);
    EXPECT_NE(moved.err.find("threads 1 became 2, precision fp32 became bf16, parts 1 became 2: from step 13 on the "
                             "bits differ"),
              std::string::npos)
        << moved.err;
    EXPECT_EQ(tiny.last_start()["changed"],
              (Json{"threads 1 became 2", "precision fp32 became bf16", "parts 1 became 2"}));
    EXPECT_LT(moved.json()["valid"]["loss"].get<double>(), first.json()["valid"]["loss"].get<double>())
        << "what was learned is kept";
    const auto back = tiny.train({"--max-steps", "42", "--set", "train.precision=fp32", "--set", "train.threads=1"});
    EXPECT_EQ(back.code, 0) << back.err;
    EXPECT_NE(back.err.find("precision bf16 became fp32"), std::string::npos) << back.err;
}

TEST(MovedRun, WhatMustNotChangeIsRefusedByName) {
    const TinyRun tiny;
    ASSERT_EQ(tiny.train({"--max-steps", "2"}).code, 0);
    for (const char* other : {"model.width=32", "model.layout=uf", "train.seed=2", "train.batch=2",
                              "optimizer.name=radam", "optimizer.beta1=0.8"})
        EXPECT_FAILS(tiny.train({"--max-steps", "4", "--set", other}), 2,
                     std::string(other).substr(0, std::string(other).find('=')));
}

TEST(MovedRun, ItsSettingsKeepWhatWasAsked) {
    const TinyRun tiny;
    ASSERT_EQ(tiny.train({"--max-steps", "2", "--set", "train.threads=0"}).code, 0);
    const Config asked = load_config(tiny.path + "/config.toml");
    EXPECT_EQ(asked.train.precision, Precision::automatic);
    EXPECT_EQ(asked.train.device, DeviceKind::automatic);
    EXPECT_EQ(asked.train.threads, 0);
    EXPECT_EQ(asked.train.parts, 0);
    EXPECT_EQ(asked.schedule.axis, ScheduleAxis::automatic);
    EXPECT_EQ(asked.model.vocabulary_size, 0);
    // what the machine made of it
    const Json start = tiny.last_start(), saved = Json::parse(read_all(tiny.newest() + "/state.json"))["machine"];
    for (const char* key : {"precision", "device", "threads", "parts", "isa"}) EXPECT_EQ(start[key], saved[key]) << key;
    EXPECT_NE(start["precision"], "auto");
    EXPECT_GE(start["threads"], 1);
    EXPECT_GE(start["parts"], 1);
    const Json settled = Json::parse(read_all(tiny.newest() + "/config.json"));
    EXPECT_EQ(settled["schedule"]["axis"], "steps");
    EXPECT_EQ(settled["model"]["vocabulary_size"], 256);
    // and goes on by its own settings
    const auto on = run({"train", tiny.path, "--max-steps", "4", "--json"});
    ASSERT_EQ(on.code, 0) << on.err;
    EXPECT_EQ(on.json()["steps"], 4);
    EXPECT_TRUE(tiny.last_start()["changed"].empty());
}

// The checkpoint with another state.json or config.json.
void change(const std::string& place, const std::string& file, const std::function<void(Json&)>& edit) {
    std::map<std::string, std::string> texts;
    for (const char* each : {"state.json", "config.json", "tokenizer.json"}) texts[each] = read_all(place + "/" + each);
    Json json = Json::parse(texts[file]);
    edit(json);
    texts[file] = json.dump();
    write_checkpoint(place, {read_tensors(place + "/model.safetensors"), read_tensors(place + "/optimizer.safetensors"),
                             texts["state.json"], texts["config.json"], texts["tokenizer.json"]});
}

TEST(MovedRun, WhatItsStateLacksIsNamedWithTheFile) {
    const TinyRun tiny;
    ASSERT_EQ(tiny.train({"--max-steps", "2"}).code, 0);
    const Json whole = Json::parse(read_all(tiny.newest() + "/state.json"));
    const auto fails = [&](const std::function<void(Json&)>& edit, const std::string& words) {
        change(tiny.newest(), "state.json", [&](Json& state) {
            state = whole;
            edit(state);
        });
        const auto told = tiny.train({"--max-steps", "4"});
        EXPECT_FAILS(told, 3, words);
        EXPECT_FAILS(told, 3, "state.json");
        EXPECT_EQ(told.err.find("json.exception"), std::string::npos) << told.err;
    };
    fails([](Json& state) { state.erase("optimizer"); }, "damaged trainer state: 'optimizer' is missing");
    fails([](Json& state) { state["evaluation"].erase("step"); }, "'evaluation' cannot be read: key 'step' not found");
    fails([](Json& state) { state["data"]["at"] = 7; }, "data position 7 does not fit");
    fails([](Json& state) { state.erase("step"); }, "damaged trainer state: key 'step' not found");
}

TEST(MovedRun, WhatANewerVersionSavedIsTold) {
    const TinyRun tiny;
    ASSERT_EQ(tiny.train({"--max-steps", "2"}).code, 0);
    const auto goes_on = [&] { return tiny.train({"--max-steps", "4"}); };
    change(tiny.newest(), "state.json", [](Json& state) { state["warp"] = 9; });
    EXPECT_FAILS(goes_on(), 3, "unknown key 'warp': a newer version of lithe saved this state");
    change(tiny.newest(), "state.json", [](Json& state) {
        state.erase("warp");
        state["evaluation"]["warp"] = 9;
    });
    EXPECT_FAILS(goes_on(), 3, "unknown key 'evaluation.warp': a newer version of lithe saved this state");
    change(tiny.newest(), "state.json", [](Json& state) {
        state["evaluation"].erase("warp");
        state["data"]["warp"] = 9;
    });
    EXPECT_FAILS(goes_on(), 3, "unknown key 'data.warp'");
    change(tiny.newest(), "state.json", [](Json& state) {
        state["data"].erase("warp");
        state["schema"] = "lithe.state/4";
    });
    EXPECT_FAILS(goes_on(), 3, "its schema is lithe.state/4");
    change(tiny.newest(), "state.json", [](Json& state) { state["schema"] = "lithe.state/3"; });
    change(tiny.newest(), "config.json", [](Json& config) {
        config["version"] = 5;
        config["model"]["warp"] = 9;
    });
    const auto newer = goes_on();
    EXPECT_FAILS(newer, 3, "a newer version of lithe wrote them");
    EXPECT_FAILS(newer, 3, "unknown key model.warp");
    change(tiny.newest(), "config.json", [](Json& config) {
        config["version"] = 4;
        config["model"].erase("warp");
    });
    EXPECT_EQ(goes_on().code, 0);
    // a checkpoint of a newer schema is not skipped: an earlier one would be trained over it
    Json manifest = Json::parse(read_all(tiny.newest() + "/manifest.json"));
    manifest["schema"] = "lithe.checkpoint/4";
    std::ofstream(tiny.newest() + "/manifest.json") << manifest.dump();
    EXPECT_FAILS(tiny.train({"--max-steps", "6"}), 3, "its schema is lithe.checkpoint/4");
}

}  // namespace
}  // namespace lithe
