// `lithe plan` and `lithe train TEXT`.
#include <filesystem>

#include "support/files.h"
#include "support/program.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::run;
using testing::sample_text;
using testing::TemporaryFolder;

TEST(PlanCommand, PrintsAndWritesAConfigurationThatTrains) {
    TemporaryFolder folder;
    const std::string text = folder.write("corpus.txt", sample_text(60'000)), out = folder.file("plan.toml");
    auto plan = run({"plan", text, "--max-time", "3s", "--max-memory", "300M", "--out", out, "--json"});
    ASSERT_EQ(plan.code, 0) << plan.err;
    const auto json = plan.json();
    EXPECT_EQ(json["schema"], "lithe.plan/1");
    EXPECT_LE(json["chosen"]["memory_bytes"].get<double>(), 300e6);
    EXPECT_LT(json["expected"]["low"], json["expected"]["high"]);
    EXPECT_EQ(json["limits"]["seconds"], 3);
    EXPECT_EQ(run({"train", out, "--dry-run", "-q"}).code, 0);
}

// A text that is not there is not missed: the speed is measured on made-up tokens.
TEST(PlanCommand, SaysWhatAConfigurationTakesHere) {
    TemporaryFolder folder;
    const std::string config = folder.write("c.toml",
                                            "[model]\nwidth = 32\nlayout = \"ru\"\n[data]\npath = \"not there\"\n"
                                            "[train]\nbatch = 4\nlength = 16\naccumulation = 2\nmax_steps = 1000\n");
    const auto result = run({"plan", config, "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    const auto json = result.json();
    EXPECT_EQ(json["tokens"], 4 * 16 * 2 * 1000);
    EXPECT_EQ(json["tokens_per_update"], 4 * 16 * 2);
    EXPECT_EQ(json["measured_batch"], 4);
    const double speed = json["tokens_per_second"];
    EXPECT_NEAR(json["seconds"].get<double>(), 128'000 / speed, 1e-6 * 128'000 / speed);
    EXPECT_NEAR(json["training_flops"].get<double>(), 128e3 * json["training_flops_per_token"].get<double>(), 1);
    EXPECT_EQ(json["parameters"], run({"info", config, "--json"}).json()["parameters"]);
    const auto limited = run({"plan", config, "--json", "--set", "train.max_seconds=0.001"});
    EXPECT_EQ(limited.json()["seconds"], 0.001);
    EXPECT_LT(limited.json()["tokens"], 128'000);
    EXPECT_NE(run({"plan", config}).out.find("tokens/s, measured on made-up tokens"), std::string::npos);
    EXPECT_FAILS(run({"plan", config, "--max-time", "1m"}), 2, "a configuration says itself");
    EXPECT_FAILS(run({"plan", config, "--set", "model.layout=?{r u}"}), 2, "a search trains many models");
}

TEST(PlanCommand, MeasuresTheRowsThatFit) {
    TemporaryFolder folder;
    const std::string config = folder.write("c.toml",
                                            "[model]\nwidth = 32\nlayout = \"r\"\n[train]\n"
                                            "batch = 1000000\nlength = 4096\nmax_steps = 1\n");
    const auto result = run({"plan", config, "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_GT(result.json()["memory_bytes"], result.json()["available_memory_bytes"]);
    EXPECT_LT(result.json()["measured_batch"], 1'000'000);
    EXPECT_GT(result.json()["tokens_per_second"], 0);
}

TEST(TrainText, PlansTrainsAndGoesOnWithTheSamePlan) {
    TemporaryFolder folder;
    const std::string text = folder.write("corpus.txt", sample_text(600'000)), path = folder.file("run");
    const std::vector<std::string> command = {"train", text,    "--max-time", "2s",    "--max-memory",
                                              "300M",  "--run", path,         "--json"};
    auto first = run(command);
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_NE(first.err.find("expected"), std::string::npos) << first.err;
    EXPECT_EQ(first.json()["stopped_by"], "time");
    const auto plan = nlohmann::json::parse(read_all(path + "/plan.json"));
    EXPECT_GT(plan["chosen"]["tokens_per_second"], 0);
    // the second call measures nothing: another speed could choose another model
    auto second = run(command);
    ASSERT_EQ(second.code, 0) << second.err;
    EXPECT_NE(second.err.find("as before"), std::string::npos);
    EXPECT_EQ(second.json()["steps"], first.json()["steps"]);
    EXPECT_EQ(plan, nlohmann::json::parse(read_all(path + "/plan.json")));
}

// The time of the command is the plan's limit, not the run's: going on must not train through it.
TEST(TrainText, GoesOnWithAPlanThatEndsEarly) {
    TemporaryFolder folder;
    const std::string text = folder.write("corpus.txt", sample_text(2000)), path = folder.file("run");
    std::vector<std::string> command = {"train", text,    "--max-time", "20m",   "--max-memory",
                                        "300M",  "--run", path,         "--json"};
    auto first = run(command);
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_NE(first.err.find("more makes it worse"), std::string::npos) << first.err;
    EXPECT_EQ(first.json()["stopped_by"], "tokens");
    auto second = run(command);
    ASSERT_EQ(second.code, 0) << second.err;
    EXPECT_EQ(second.json()["steps"], first.json()["steps"]);
    command[3] = std::to_string(first.json()["seconds"].get<double>() + 1) + "s";  // another time is meant
    auto third = run(command);
    ASSERT_EQ(third.code, 0) << third.err;
    EXPECT_GT(third.json()["steps"], first.json()["steps"]);
}

TEST(TrainText, WrongUsesAreToldWhatToDo) {
    TemporaryFolder folder;
    const std::string text = folder.write("corpus.txt", sample_text(60'000));
    const std::string config = folder.write("c.toml", "[data]\npath = \"" + text + "\"\n");
    struct Case {
        std::vector<std::string> arguments;
        const char* told;
    };
    for (const Case& each : {Case{{"train", config, "--target-latency", "1ms"}, "bounds a plan"},
                             Case{{"train", text, "--max-steps", "5"}, "plans are made for a time"},
                             Case{{"plan", text, "--max-time", "soon"}, "not a time"},
                             Case{{"plan", text, "--max-memory", "much"}, "not an amount of memory"},
                             Case{{"plan", text, "--target-latency", "-1ms"}, "not a time per token"}}) {
        auto result = run(each.arguments);
        EXPECT_EQ(result.code, 2) << each.told;
        EXPECT_NE(result.err.find(each.told), std::string::npos) << result.err;
    }
}

}  // namespace
}  // namespace lithe
