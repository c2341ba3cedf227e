// Which run a command goes on with, and what it says of one that is not its own.
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "lithe/data/corpus.h"
#include "lithe/spec/config_io.h"
#include "lithe/train/trainer.h"
#include "support/program.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using testing::read_all;
using testing::run;
using testing::sample_text;
using testing::TemporaryFolder;
using testing::tiny_config;

// The test's folder is the current one while it runs.
class InFolder : public ::testing::Test {
 protected:
    InFolder() : before_(fs::current_path()) { fs::current_path(folder_.path()); }
    ~InFolder() override { fs::current_path(before_); }
    std::string config(const std::string& name, const std::string& text, const std::string& width = "16") {
        return folder_.write(name, "[model]\nwidth = " + width + "\nlayout = \"u\"\n[data]\npath = \"" + text +
                                       "\"\n[train]\nbatch = 4\nlength = 8\nmax_steps = 5\n");
    }
    TemporaryFolder folder_;

 private:
    fs::path before_;
};

TEST_F(InFolder, ATextOfTheSameNameIsNotTheRunsText) {
    folder_.write("one/input.txt", sample_text(60'000));
    folder_.write("two/input.txt", sample_text(50'000));
    const std::vector<std::string> limits = {"--max-time", "1s", "--max-memory", "300M"};
    auto train = [&](const std::string& what) {
        std::vector<std::string> all = {"train", what};
        all.insert(all.end(), limits.begin(), limits.end());
        return run(all);
    };
    ASSERT_EQ(train("one/input.txt").code, 0);
    const auto second = train("two/input.txt");
    EXPECT_FAILS(second, 2, "two/input.txt");
    EXPECT_FAILS(second, 2, "one/input.txt");
    // of the same size, so that only the content tells
    std::string other = sample_text(60'000);
    other[31'000] = '#';
    folder_.write("two/input.txt", other);
    const auto third = train("two/input.txt");
    EXPECT_FAILS(third, 2, "two/input.txt");
    EXPECT_FAILS(third, 2, "one/input.txt");
    // a text that was moved is the same text
    folder_.write("moved/input.txt", sample_text(60'000));
    fs::remove(folder_.file("one/input.txt"));
    EXPECT_EQ(train("moved/input.txt").code, 0);
}

TEST_F(InFolder, AConfigurationOfTheSameNameIsNotTheRuns) {
    folder_.write("one.txt", sample_text(20'000));
    folder_.write("two.txt", sample_text(20'001));
    const std::string a = config("a/x.toml", "one.txt");
    ASSERT_EQ(run({"train", a}).code, 0);
    const auto other_data = run({"train", config("b/x.toml", "two.txt")});
    EXPECT_FAILS(other_data, 2, "one.txt");
    EXPECT_FAILS(other_data, 2, "two.txt");
    const auto other_model = run({"train", config("c/x.toml", "one.txt", "32")});
    EXPECT_FAILS(other_model, 2, "a/x.toml");
    EXPECT_FAILS(other_model, 2, "c/x.toml");
    EXPECT_EQ(run({"train", a}).code, 0);
}

TEST_F(InFolder, ATextDoesNotGoOnWithAConfigurationsRun) {
    const std::string text = folder_.write("x.txt", sample_text(20'000));
    ASSERT_EQ(run({"train", config("x.toml", "x.txt")}).code, 0);
    EXPECT_FAILS(run({"train", "x.txt", "--max-time", "1s"}), 2, "x.toml");
}

TEST_F(InFolder, ARunFolderGoesOnByItself) {
    folder_.write("one.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "one.txt");
    ASSERT_EQ(run({"train", toml, "--run", "my run", "--set", "optimizer.learning_rate=3e-3"}).code, 0);
    fs::create_directory("elsewhere");
    fs::current_path("elsewhere");
    const auto more = run({"train", "../my run/", "--max-steps", "9", "--json"});
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(more.json()["steps"], 9);
    EXPECT_NE(more.err.find("resumed"), std::string::npos) << more.err;
    // the budget of this command is the run's from now on, and what stays keeps its origin
    const std::string settings = read_all(folder_.file("my run/config.toml"));
    EXPECT_NE(settings.find("max_steps = 9  # --set"), std::string::npos) << settings;
    EXPECT_NE(settings.find("learning_rate = 0.003  # --set"), std::string::npos) << settings;
    EXPECT_NE(settings.find("momentum = 0.9  # default"), std::string::npos) << settings;
    EXPECT_EQ(run({"train", folder_.file("my run"), "--json"}).json()["steps"], 9);
    EXPECT_FAILS(run({"train", "../my run", "--run", "other"}), 2, "a run goes on in its own folder");
    EXPECT_FAILS(run({"train", "../my run/checkpoints/step-000000009"}), 2, "--resume");
    EXPECT_FAILS(run({"plan", "../my run"}), 2, "this is a run");
    EXPECT_FAILS(run({"train", "../my run/checkpoints"}), 2, "the checkpoints of a run");
    // evaluation finds the text from any folder
    EXPECT_EQ(run({"eval", "../my run", "--bytes", "100"}).code, 0);
}

TEST_F(InFolder, AFolderThatCannotBeWrittenIsToldBeforeAnythingElse) {
    folder_.write("file", "in the way");
    folder_.write("one.txt", sample_text(60'000));
    const auto text = run({"train", "one.txt", "--max-time", "1s", "--run", "file/run"});
    EXPECT_EQ(text.code, 3) << text.err;
    EXPECT_EQ(text.err.find("expected"), std::string::npos) << "planned first: " << text.err;
    EXPECT_EQ(text.err.rfind("error: cannot write into the folder", 0), 0u) << text.err;
    const auto toml = run({"train", config("x.toml", "one.txt"), "--run", "file/run"});
    EXPECT_EQ(toml.err.rfind("error: cannot write into the folder", 0), 0u) << toml.err;
}

// "0 = auto" is whatever the machine has.
TEST_F(InFolder, AnotherNumberOfCoresIsNoOtherSetting) {
    folder_.write("one.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "one.txt");
    ASSERT_EQ(run({"train", toml}).code, 0);
    const std::string place = list_checkpoints("runs/x")[0].folder;
    EXPECT_NE(read_all("runs/x/config.toml").find("threads = 0"), std::string::npos);
    // as a machine with more cores, no bf16 and a GPU would have left it
    auto json = nlohmann::ordered_json::parse(read_all(place + "/config.json"));
    json["train"]["threads"] = 7;
    json["train"]["device"] = "cuda";
    write_checkpoint(place, {read_tensors(place + "/model.safetensors"), read_tensors(place + "/optimizer.safetensors"),
                             read_all(place + "/state.json"), json.dump(), read_all(place + "/tokenizer.json")});
    const auto more = run({"train", toml, "--max-steps", "8", "--json"});
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(more.json()["steps"], 8);
}

// Three places of the text were compared before.
TEST_F(InFolder, ARunWithAnEarlierFingerprintGoesOn) {
    folder_.write("one.txt", sample_text(50'000));
    const std::string toml = config("x.toml", "one.txt");
    ASSERT_EQ(run({"train", toml}).code, 0);
    const std::string place = list_checkpoints("runs/x")[0].folder;
    auto state = nlohmann::ordered_json::parse(read_all(place + "/state.json"));
    state["data_fingerprint"] = Corpus::open({.path = "one.txt"}).sampled_fingerprint();
    write_checkpoint(place, {read_tensors(place + "/model.safetensors"), read_tensors(place + "/optimizer.safetensors"),
                             state.dump(), read_all(place + "/config.json"), read_all(place + "/tokenizer.json")});
    EXPECT_EQ(run({"train", toml, "--max-steps", "8"}).code, 0);
}

TEST_F(InFolder, AnEarlierCheckpointIsGoneOnFrom) {
    folder_.write("one.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "one.txt");
    const std::vector<std::string> often = {"train", toml, "--set", "checkpoint.every=2", "--set", "checkpoint.keep=9"};
    auto with = [&](std::vector<std::string> more) {
        std::vector<std::string> all = often;
        all.insert(all.end(), more.begin(), more.end());
        return run(all);
    };
    ASSERT_EQ(with({"--max-steps", "10"}).code, 0);
    const auto back = with({"--max-steps", "5", "--resume", "runs/x/checkpoints/step-000000004"});
    ASSERT_EQ(back.code, 0) << back.err;
    EXPECT_EQ(list_checkpoints("runs/x")[0].step, 5) << "a later start would go on with what was given up";
    EXPECT_TRUE(fs::exists("runs/x/checkpoints/superseded-step-000000010"));
}

TEST_F(InFolder, ARaisedBudgetWarnsOfTheHighRate) {
    folder_.write("one.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "one.txt");
    auto with = [&](const char* steps) { return run({"train", toml, "--max-steps", steps}); };
    EXPECT_EQ(with("20").err.find("learning rate"), std::string::npos);
    const auto same = with("20");
    EXPECT_EQ(same.err.find("learning rate"), std::string::npos) << same.err;
    const auto raised = with("40");
    EXPECT_NE(raised.err.find("the learning rate is 0.00052 here, where it was 0"), std::string::npos) << raised.err;
    EXPECT_NE(raised.err.find("train.init_from"), std::string::npos) << raised.err;
}

TEST_F(InFolder, HintsNameWhatThereIs) {
    const std::string toml = tiny_config(folder_);
    std::vector<std::string> diverging = {"train",       toml,
                                          "--max-steps", "60",
                                          "--set",       "optimizer.learning_rate=1000",
                                          "--set",       "optimizer.name=sgd",
                                          "--set",       "optimizer.clip_norm=0",
                                          "--set",       "schedule.name=constant",
                                          "--set",       "train.precision=fp32"};
    const auto off = run(diverging);
    EXPECT_FAILS(off, 5, "no checkpoint was saved yet");
    EXPECT_FAILS(off, 5, "set optimizer.clip_norm = 1");
    EXPECT_EQ(off.err.find("step -1"), std::string::npos) << off.err;
    diverging.insert(diverging.end(),
                     {"--run", "s", "--set", "train.non_finite=skip", "--set", "train.non_finite_limit=3"});
    const auto skipped = run(diverging);
    EXPECT_FAILS(skipped, 5, "3 updates in a row");
    EXPECT_EQ(skipped.err.find("\"skip\" leaves"), std::string::npos) << skipped.err;
}

TEST_F(InFolder, ASearchComparesNoTrialsOnDifferentTexts) {
    const std::string toml = tiny_config(folder_);
    auto search = [&](const char* tokens, const std::string& what) {
        return run({"search", what, "--method", "random", "--max-tokens", tokens, "--set", "search.trial_tokens=64",
                    "--set", "model.layout=u?{s f}?{s f}f"});
    };
    ASSERT_EQ(search("64", toml).code, 0);
    const auto more = search("128", "runs/search-tiny");
    ASSERT_EQ(more.code, 0) << more.err;
    std::string text = read_all("text.txt");
    text[7'000] = '#';
    folder_.write("text.txt", text);
    EXPECT_FAILS(search("192", toml), 2, "the text is not what it was when the search began");
}

TEST_F(InFolder, ARaisedPatienceGoesOn) {
    folder_.write("one.txt", sample_text(20'000));
    auto train = [&](const char* patience) {
        return run({"train", config("x.toml", "one.txt"), "--max-steps", "12", "--set", "optimizer.learning_rate=0",
                    "--set", "evaluation.every=2", "--set", std::string("train.patience=") + patience, "--json"});
    };
    EXPECT_EQ(train("2").json()["stopped_by"], "early_stop");
    EXPECT_EQ(train("100").json()["stopped_by"], "steps");
}

// The run's own files are no text of it: it goes on, is evaluated and planned again with the text as it was.
TEST_F(InFolder, ARunInsideItsTextGoesOn) {
    for (const char* name : {"d/1.txt", "d/2.txt"}) folder_.write(name, sample_text(20'000));
    const std::string toml = config("small.toml", ".");
    fs::current_path("d");
    const auto first = run({"train", "../small.toml", "--max-steps", "3"});
    ASSERT_EQ(first.code, 0) << first.err;
    const auto fingerprint = [] { return run({"data", "info", ".", "--json"}).json()["fingerprint"]; };
    DataConfig data;
    data.path = ".";
    const std::string before = Corpus::open(data).fingerprint();
    const auto more = run({"train", "runs/small", "--max-steps", "6"});
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_NE(more.err.find("resumed"), std::string::npos) << more.err;
    EXPECT_NE(more.err.find("left out: runs/small (a run of lithe)"), std::string::npos) << more.err;
    const auto scored = run({"eval", "runs/small", "--bytes", "100"});
    EXPECT_EQ(scored.code, 0) << scored.err;
    EXPECT_EQ(scored.err.find("is not what the run was trained on"), std::string::npos) << scored.err;
    EXPECT_EQ(fingerprint(), before);
    fs::rename("runs", "../runs");
    EXPECT_EQ(fingerprint(), before);
    EXPECT_FAILS(run({"train", "../small.toml", "--set", "data.path=../runs/small"}), 2, "this is a run of lithe");
}

// A run's folder would be left out of its own text.
TEST_F(InFolder, ARunIsNotKeptWhereItsTextLies) {
    for (const char* name : {"d/1.txt", "d/e/2.txt"}) folder_.write(name, sample_text(20'000));
    const std::string toml = config("small.toml", "d");
    EXPECT_FAILS(run({"train", toml, "--run", "d"}), 2, "the folder holds a part of the text");
    EXPECT_FAILS(run({"train", toml, "--run", "d/e"}), 2, "d/e/2.txt");
    EXPECT_FALSE(fs::exists("d/e/checkpoints"));
    EXPECT_EQ(run({"train", toml, "--run", "d/f"}).code, 0);
}

// JSON and TOML hold no other text: without this the run was lost at its first checkpoint.
TEST_F(InFolder, PathsThatAreNotUtf8AreRefusedBeforeAnythingIsDone) {
    const std::string odd = "ca2f\xe9", shown = "ca2f\xEF\xBF\xBD";
    folder_.write(odd + "/a.txt", sample_text(20'000));
    folder_.write("a.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "a.txt");
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"train", odd, "--max-time", "1s"},
          {"plan", odd},
          {"train", toml, "--run", odd + "/run"},
          {"search", toml, "--run", odd + "/run", "--set", "model.layout=u?{s f}", "--max-steps", "2"},
          {"data", "prepare", odd, "--out", "set"},
          {"data", "prepare", "a.txt", "--out", odd + "/set"},
          {"data", "train-tokenizer", "a.txt", "--out", odd + "/t.json"}}) {
        const auto result = run(command);
        EXPECT_FAILS(result, 2, "the path is not UTF-8");
        EXPECT_FAILS(result, 2, shown);
    }
    const std::string whole = folder_.file("x.toml");
    fs::current_path(odd);
    EXPECT_FAILS(run({"train", whole, "--run", folder_.file("r"), "--set", "data.path=a.txt"}), 2, "data.path");
    EXPECT_FAILS(run({"train", whole, "--run", folder_.file("r"), "--set", "data.path=" + folder_.file("a.txt"),
                      "--set", "train.init_from=a.txt"}),
                 2, "train.init_from");
    fs::current_path("..");
    for (const char* made : {"r", "set", "runs"}) EXPECT_FALSE(fs::exists(made)) << made;
    // a link is another way to it
    fs::create_symlink(odd, "plain");
    EXPECT_EQ(run({"train", toml, "--set", "data.path=plain/a.txt"}).code, 0);
}

TEST_F(InFolder, ALineBreakInTheRunsPathStaysInItsComments) {
    folder_.write("one.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "one.txt");
    ASSERT_EQ(run({"train", toml, "--run", "a\nb"}).code, 0);
    for (const char* steps : {"7", "9"}) {
        const auto more = run({"train", "a\nb", "--max-steps", steps, "--json"});
        ASSERT_EQ(more.code, 0) << more.err;
        EXPECT_EQ(more.json()["steps"], std::atoi(steps));
    }
}

// What a run took is read from there.
TEST_F(InFolder, MetricsEndWithTheLastStep) {
    folder_.write("one.txt", sample_text(20'000));
    const std::string toml = config("x.toml", "one.txt");
    auto steps_after = [&](const char* steps) {
        EXPECT_EQ(
            run({"train", toml, "--max-steps", steps, "--set", "train.log_every=50", "--set", "data.split=1/0/0"}).code,
            0);
        std::vector<int64_t> found;
        std::istringstream lines(read_all("runs/x/metrics.jsonl"));
        for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line)["step"]);
        return found;
    };
    EXPECT_EQ(steps_after("7"), (std::vector<int64_t>{1, 7}));
    EXPECT_EQ(steps_after("7"), (std::vector<int64_t>{1, 7}));
    EXPECT_EQ(steps_after("9"), (std::vector<int64_t>{1, 7, 9}));
    EXPECT_EQ(steps_after("50"), (std::vector<int64_t>{1, 7, 9, 50}));
}

// Read through the cache, in place, and replaced by another file of the name.
TEST_F(InFolder, ATextThatChangesUnderItsTrainingIsToldOnce) {
    setenv("XDG_CACHE_HOME", folder_.file("cache").c_str(), 1);
    for (const std::string how : {"folder", "replaced"}) {
        const std::string file = how + "/1.txt";
        folder_.write(file, sample_text(20'000));
        if (how == "folder") folder_.write(how + "/2.txt", sample_text(20'000));
        const std::string toml = config(how + ".toml", how == "folder" ? how : file);
        TrainOptions options;
        options.run = how + "-run";
        options.on_evaluation = [&](const EvaluationResult&, const TrainerState& state, double) {
            if (state.step > 2) return;
            if (how == "replaced") fs::remove(file);
            folder_.write(file, std::string(20'000, 'x'));
            fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(2));
        };
        ::testing::internal::CaptureStderr();
        Trainer(load_config(toml, {"evaluation.every=2", "checkpoint.every=1", "train.max_steps=6"}), options).run();
        const std::string err = ::testing::internal::GetCapturedStderr();
        const std::string words = "the text changed while it was trained on: " + folder_.file(file) + " was written to";
        const size_t first = err.find("the text changed while it was trained on");
        EXPECT_EQ(err.find(words), first) << err;
        ASSERT_NE(first, std::string::npos) << err;
        EXPECT_EQ(err.find("the text changed", first + 1), std::string::npos) << err;
    }
    unsetenv("XDG_CACHE_HOME");
}

TEST_F(InFolder, ALinkToARunIsTheRun) {
    folder_.write("t.txt", sample_text(20'000));
    const std::string file = config("c.toml", "t.txt");
    ASSERT_EQ(run({"train", file, "--run", "real", "--max-steps", "3"}).code, 0);
    fs::create_directory_symlink("real", "link");
    const auto on = run({"train", "link", "--max-steps", "5"});
    EXPECT_EQ(on.code, 0) << on.err;
    EXPECT_TRUE(fs::is_symlink("link"));
    EXPECT_NE(on.err.find("resumed    step 3"), std::string::npos) << on.err;
    fs::create_directory("place");
    fs::create_directory_symlink("place", "new");
    EXPECT_EQ(run({"train", file, "--run", "new", "--max-steps", "2"}).code, 0);
    EXPECT_TRUE(fs::is_symlink("new"));
    EXPECT_TRUE(fs::exists("place/run.json"));
}

TEST_F(InFolder, AFileNamedAsARunsMakesNoRun) {
    folder_.write("t.txt", sample_text(20'000));
    const std::string file = config("c.toml", "t.txt");
    for (const char* record : {"{\"my\": \"settings\"}", "mine", "", "{\"schema\": 7}"}) {
        folder_.write("mine/run.json", record);
        EXPECT_FAILS(run({"train", file, "--run", "mine", "--max-steps", "2"}), 2, "holds a file run.json");
        EXPECT_EQ(read_all("mine/run.json"), record);
    }
}

TEST_F(InFolder, ARunWithoutACheckpointSaysThatItBeginsAnew) {
    folder_.write("t.txt", sample_text(20'000));
    ASSERT_EQ(run({"train", config("c.toml", "t.txt"), "--run", "r", "--max-steps", "3"}).code, 0);
    fs::remove_all("r/checkpoints");
    fs::create_directory("r/checkpoints");
    const auto again = run({"train", "r", "--max-steps", "4"});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_NE(again.err.find("can be gone on from: it begins anew"), std::string::npos) << again.err;
}

TEST_F(InFolder, ADamagedPointerIsPassedOver) {
    folder_.write("one.txt", sample_text(20'000));
    ASSERT_EQ(run({"train", config("x.toml", "one.txt"), "--set", "evaluation.every=2"}).code, 0);
    for (const char* damage : {"", "../x", "step-000000777\n"}) {
        folder_.write("runs/x/latest", damage);
        for (const std::vector<std::string>& command : {std::vector<std::string>{"eval", "runs/x", "--bytes", "100"},
                                                        {"generate", "runs/x", "--tokens", "3"},
                                                        {"info", "runs/x"}}) {
            const auto result = run(command);
            EXPECT_EQ(result.code, 0) << result.err;
            EXPECT_NE(result.err.find("runs/x/latest is passed over"), std::string::npos) << result.err;
        }
    }
    folder_.write("runs/x/best", "");
    EXPECT_FAILS(run({"eval", "runs/x@best"}), 3, "runs/x@step:N");
}

}  // namespace
}  // namespace lithe
