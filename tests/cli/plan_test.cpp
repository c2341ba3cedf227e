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
    std::vector<std::string> command = {"train", text,    "--max-time", "90s",   "--max-memory",
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
    for (const Case& each : {Case{{"train", config, "--max-memory", "2G"}, "bound a plan"},
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
