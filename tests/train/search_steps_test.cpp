// Whose turn a step of a search is, how its temperature falls, when it has settled, and which text the choices see.
#include "lithe/train/search_steps.h"

#include <gtest/gtest.h>

#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "lithe/train/trainer.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

Config config_of(const std::vector<std::string>& sets) {
    return parse_config("[model]\nwidth = 8\nlayout = \"?{f -}\"\n[search]\nsupernet = true\n", "test", sets);
}

struct Steps {
    Config config;
    std::unique_ptr<Objective> objective;
    Models models;
    SearchSteps steps;
    explicit Steps(const std::vector<std::string>& sets = {})
        : config(config_of(sets)),
          objective(make_objective(config, tokenize::ByteTokenizer())),
          models(objective->models(config, std::make_shared<ParameterStore>())),
          steps(config, *objective, models, nullptr) {}
};

TEST(SearchSteps, ChoicesHaveTheEndOfEachRoundBehindTheWarmUp) {
    Steps made({"search.warmup=0.2", "search.period=10", "search.share=0.3"});
    for (int64_t step = 0; step < 20; ++step) EXPECT_FALSE(made.steps.turn_of_choices(step, double(step) / 100));
    for (int64_t step = 20; step < 60; ++step)
        EXPECT_EQ(made.steps.turn_of_choices(step, double(step) / 100), (step - 20) % 10 >= 7) << step;
}

TEST(SearchSteps, TemperatureFallsExponentiallyBehindTheWarmUp) {
    Steps made({"search.warmup=0.5", "search.temperature=4", "search.final_temperature=0.25"});
    for (const auto& [progress, expected] : {std::pair(0.0, 4.0), {0.5, 4.0}, {0.75, 1.0}, {1.0, 0.25}})
        EXPECT_NEAR(made.steps.temperature(progress), expected, 1e-12) << progress;
}

TEST(SearchSteps, SettledWhenNothingChangedForItsShare) {
    for (const bool asked : {true, false}) {
        Steps made({"search.warmup=0.2", asked ? "search.settled=0.5" : "search.settled=0"});
        made.steps.turn_of_choices(20, 0.2);
        const auto settled = [&](double progress) {
            made.steps.note_choices(progress);
            return made.steps.progress().settled;
        };
        EXPECT_FALSE(settled(0.5));
        ASSERT_TRUE(made.steps.architecture().load(
            {"architecture.0.logits", at::tensor(std::vector<double>{0, 1}, at::TensorOptions(at::kDouble))}));
        EXPECT_FALSE(settled(0.55)) << "the likeliest changed";
        EXPECT_FALSE(settled(0.94));
        EXPECT_EQ(settled(0.96), asked) << "0.4 of the budget later";
    }
}

// The text that choices are updated on: its own, or that of the weights.
TEST(SearchSteps, HeldOutTextIsReadByTheChoicesAlone) {
    for (const bool apart : {true, false}) {
        testing::TemporaryFolder folder;
        const std::vector<std::string> sets = {"model.layout=\"?{f -}\"",
                                               "search.supernet=true",
                                               "search.warmup=0",
                                               "search.period=2",
                                               "search.share=0.5",
                                               "train.max_steps=10",
                                               apart ? "search.held_out=0.3" : "search.held_out=0"};
        TrainOptions options;
        options.run = folder.file("run");
        Trainer(load_config(testing::tiny_config(folder), sets), options).run();
        const auto state =
            nlohmann::json::parse(testing::read_all(folder.file("run/checkpoints/step-000000010/state.json")));
        const int segment = 8;  // tokens of each stream; five steps were the choices'
        EXPECT_EQ(state["data"]["at"], (apart ? 5 : 10) * segment);
        EXPECT_EQ(state["search"]["data"]["at"], (apart ? 5 : 0) * segment);
    }
}

}  // namespace
}  // namespace lithe
