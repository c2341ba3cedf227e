// Runs with exits and with halting runs: trained, gone on with, scored, written with, refused.
#include "support/program.h"
#include "support/run_essence.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::run;
using testing::saved_tensors;
using testing::TemporaryFolder;
using testing::tiny_config;

struct Runs {
    TemporaryFolder folder;
    std::string config = tiny_config(folder);

    testing::ProgramResult train(const std::string& name, const char* steps,
                                 const std::vector<std::string>& sets) const {
        std::vector<std::string> command = {"train", config, "--run", folder.file(name), "--max-steps", steps};
        for (const std::string& set : sets) command.insert(command.end(), {"--set", set});
        return run(command);
    }
    std::vector<nlohmann::json> metrics(const std::string& name) const {
        std::vector<nlohmann::json> lines;
        std::istringstream text(read_all(folder.file(name) + "/metrics.jsonl"));
        for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
        return lines;
    }
};

const std::vector<std::string> kExits = {"model.layout=(sf)x3", "objective.name=exits"};

TEST(ExitRuns, GoOnToTheSameBits) {
    const Runs runs;
    for (const std::string training : {"aligned", "mixed"}) {
        std::vector<std::string> sets = kExits;
        sets.push_back("objective.exit_training=" + training);
        sets.push_back("train.recompute=uniform:1");
        ASSERT_EQ(runs.train(training + " whole", "6", sets).code, 0);
        ASSERT_EQ(runs.train(training + " broken", "3", sets).code, 0);
        ASSERT_EQ(runs.train(training + " broken", "6", sets).code, 0);
        EXPECT_EQ(saved_tensors(runs.folder.file(training + " broken")),
                  saved_tensors(runs.folder.file(training + " whole")));
    }
    EXPECT_NE(saved_tensors(runs.folder.file("aligned whole")), saved_tensors(runs.folder.file("mixed whole")));
    bool seen = false;
    for (const auto& line : runs.metrics("aligned whole"))
        if (line.contains("terms")) {
            EXPECT_TRUE(line["terms"].contains("exit_1") && line["terms"].contains("exit_2")) << line.dump();
            EXPECT_TRUE(line["terms"].contains("cross_entropy"));
            seen = true;
        }
    EXPECT_TRUE(seen);
}

TEST(ExitRuns, AreScoredAndWrittenWith) {
    const Runs runs;
    ASSERT_EQ(runs.train("run", "40", kExits).code, 0);
    const std::string name = runs.folder.file("run");
    const auto all = run({"eval", name, "--json"}).json();
    EXPECT_FALSE(all.contains("exits"));

    const auto never = run({"eval", name, "--exit", "confidence:1", "--json"}).json();
    EXPECT_DOUBLE_EQ(never["loss"].get<double>(), all["loss"].get<double>()) << "nobody is that sure";
    EXPECT_EQ(never["exits"]["layers"], 3.0);
    const auto first = run({"eval", name, "--exit", "confidence:0", "--json"}).json();
    EXPECT_EQ(first["exits"]["layers"], 1.0);
    EXPECT_EQ(first["exits"]["all_layers"], 3);
    EXPECT_EQ(first["exits"]["by_exit"][0]["share"], 1.0);
    EXPECT_NE(first["loss"], all["loss"]);

    const auto curve = run({"eval", name, "--exit", "entropy", "--json"}).json();
    const auto& points = curve["exits"]["curve"];
    ASSERT_EQ(points.size(), 10u);
    EXPECT_TRUE(points[0]["rule"].is_null());
    EXPECT_DOUBLE_EQ(points[0]["loss"].get<double>(), all["loss"].get<double>());
    for (size_t i = 1; i < points.size(); ++i) {
        EXPECT_LE(points[i]["layers"].get<double>(), points[i - 1]["layers"].get<double>());
        EXPECT_GT(points[i]["tokens_per_second"].get<double>(), 0);
    }

    const auto bound = run({"eval", name, "--exit", "confidence", "--max-loss", "0.5", "--json"}).json();
    const auto& chosen = bound["exits"]["chosen"];
    EXPECT_LE(chosen["loss"].get<double>(), all["loss"].get<double>() + 0.5);
    EXPECT_DOUBLE_EQ(bound["loss"].get<double>(), chosen["loss"].get<double>());
    for (const auto& point : bound["exits"]["curve"])
        if (point["loss"].get<double>() <= all["loss"].get<double>() + 0.5) {
            EXPECT_GE(point["layers"].get<double>(), chosen["layers"].get<double>()) << point.dump();
        }
    const auto words = run({"eval", name, "--exit", "confidence:0.1"});
    EXPECT_NE(words.out.find("exits      confidence:0.1, "), std::string::npos) << words.out;
    EXPECT_NE(words.out.find(" of 3 layers"), std::string::npos) << words.out;

    const std::vector<std::string> write = {"generate", name, "--tokens", "20", "--temperature", "0", "--json"};
    const auto with = [&](const std::string& rule) {
        std::vector<std::string> command = write;
        command.insert(command.end(), {"--exit", rule});
        return run(command).json();
    };
    EXPECT_EQ(with("confidence:1")["text"], run(write).json()["text"]);
    EXPECT_EQ(with("confidence:1")["exits"]["layers"], 3.0);
    EXPECT_EQ(with("patience:1")["exits"]["rule"], "patience:1");
    EXPECT_EQ(with("confidence:0")["exits"]["layers"], 1.0);
}

TEST(ExitRuns, WhatCannotBeIsTold) {
    const Runs runs;
    EXPECT_FAILS(runs.train("none", "1", {"objective.name=exits"}), 2, "carries a state that needs every position");
    ASSERT_EQ(runs.train("plain", "1", {}).code, 0);
    const std::string plain = runs.folder.file("plain");
    EXPECT_FAILS(run({"eval", plain, "--exit", "confidence:0.5"}), 2, "this model has no exits");
    EXPECT_FAILS(run({"generate", plain, "--exit", "confidence:0.5"}), 2, "this model has no exits");
    EXPECT_FAILS(run({"eval", plain, "--exit", "sure:0.5"}), 2, "unknown rule of exits");
    EXPECT_FAILS(run({"eval", plain, "--max-loss", "0.5"}), 2, "a bound chooses among the thresholds");
    ASSERT_EQ(runs.train("run", "1", kExits).code, 0);
    EXPECT_FAILS(run({"eval", runs.folder.file("run"), "--layers", "1"}), 2, "run from its first layer on");
    EXPECT_FAILS(run({"eval", runs.folder.file("run"), "--exit", "patience:1", "--max-loss", "0.5"}), 2,
                 "a bound chooses among the thresholds");
}

TEST(HaltingRuns, GoOnToTheSameBitsAndTellTheirSteps) {
    const Runs runs;
    const std::vector<std::string> sets = {"model.layout=u@[sf]x3", "train.recompute=uniform:1", "train.parts=2",
                                           "train.threads=2"};
    ASSERT_EQ(runs.train("whole", "6", sets).code, 0);
    ASSERT_EQ(runs.train("broken", "3", sets).code, 0);
    ASSERT_EQ(runs.train("broken", "6", sets).code, 0);
    EXPECT_EQ(saved_tensors(runs.folder.file("broken")), saved_tensors(runs.folder.file("whole")));
    bool seen = false;
    for (const auto& line : runs.metrics("whole"))
        if (line.contains("blocks")) {
            const double steps = line["blocks"]["decoder.layers.1.halting.steps"][0];
            EXPECT_GE(steps, 1);
            EXPECT_LE(steps, 3);
            EXPECT_GT(line["terms"]["ponder"].get<double>(), 0.01 * steps);
            seen = true;
        }
    EXPECT_TRUE(seen);
    const std::string page = read_all(runs.folder.file("whole") + "/report.html");
    EXPECT_NE(page.find("Mean steps of a position"), std::string::npos);
    EXPECT_NE(page.find("decoder.layers.1.halting"), std::string::npos);
    EXPECT_EQ(run({"eval", runs.folder.file("whole")}).code, 0);
    EXPECT_EQ(run({"generate", runs.folder.file("whole"), "--tokens", "5"}).code, 0);
}

}  // namespace
}  // namespace lithe
