// What the learning rate follows when a run has several budgets.
#include <filesystem>
#include <sstream>

#include "support/program.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::ProgramResult;
using testing::read_all;
using testing::run;
using testing::TemporaryFolder;

class Budgets : public ::testing::Test {
 protected:
    // An update takes 32 tokens.
    ProgramResult train(std::vector<std::string> more) {
        std::vector<std::string> all = {
            "train", config_, "--run", folder_.file("run"), "--json", "--set", "schedule.name=linear"};
        all.insert(all.end(), more.begin(), more.end());
        return run(all);
    }
    std::vector<double> rates() {
        std::vector<double> found;
        std::istringstream lines(read_all(folder_.file("run") + "/metrics.jsonl"));
        for (std::string line; std::getline(lines, line);) {
            const auto json = nlohmann::json::parse(line);
            if (json.contains("learning_rate")) found.push_back(json["learning_rate"]);
        }
        return found;
    }
    TemporaryFolder folder_;
    const std::string config_ = testing::tiny_config(folder_);
};

TEST_F(Budgets, TheRateFollowsTheOneThatEndsFirst) {
    const auto result =
        train({"--max-steps", "40", "--max-tokens", "320", "--max-time", "1h", "--set", "schedule.warmup=0"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.json()["stopped_by"], "tokens");
    const std::vector<double> found = rates();
    ASSERT_EQ(found.size(), 10u);
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], 1e-2 * (1 - double(i) / 10), 1e-5);
}

TEST_F(Budgets, TimeMayBeTheFirst) {
    const auto result = train(
        {"--max-steps", "1000000", "--max-time", "1s", "--set", "schedule.warmup=0", "--set", "evaluation.bytes=50"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.json()["stopped_by"], "time");
    EXPECT_LT(rates().back(), 0.3e-2);
}

TEST_F(Budgets, AWarmUpInStepsKeepsTheScheduleInSteps) {
    const auto result = train({"--max-steps", "40", "--max-tokens", "320", "--set", "schedule.warmup=5"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_NEAR(rates().back(), 1e-2 * (1 - 4.0 / 35), 1e-5);  // step 10 of 40
    EXPECT_FAILS(train({"--max-steps", "40", "--set", "schedule.axis=budget", "--set", "schedule.warmup=5"}), 2,
                 "a warm-up that is a share");
}

// Its rates came from a clock; what is trained again has the same.
TEST_F(Budgets, WhatIsTrainedAgainHasTheRatesThatItHad) {
    const std::vector<std::string> command = {"--max-steps", "60",
                                              "--max-time",  "1m",
                                              "--set",       "schedule.axis=time",
                                              "--set",       "schedule.warmup=0",
                                              "--set",       "checkpoint.every=10",
                                              "--set",       "checkpoint.keep=1000"};
    const auto first = train(command);
    ASSERT_EQ(first.code, 0) << first.err;
    const std::string path = folder_.file("run"), whole = testing::essence(path);
    const auto saved = list_checkpoints(path);
    ASSERT_EQ(saved.size(), 7u);  // of steps 0, 10, ..., 60
    for (size_t i = 0; i + 1 < saved.size(); ++i) std::filesystem::remove_all(saved[i].folder);
    const auto again = train(command);
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_NE(again.err.find("resumed"), std::string::npos);
    EXPECT_EQ(again.json()["steps"], first.json()["steps"]);
    EXPECT_TRUE(testing::essence(path) == whole);
}

TEST_F(Budgets, ARunThatGoesOnKeepsWhatItsRateFollows) {
    ASSERT_EQ(train({"--max-steps", "10", "--set", "schedule.warmup=0"}).code, 0);
    const auto more = train({"--max-steps", "20", "--max-time", "1h", "--set", "schedule.warmup=0"});
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(more.json()["steps"], 20);
}

}  // namespace
}  // namespace lithe
