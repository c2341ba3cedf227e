// Searches as a user runs them, on a text of a few kilobytes.
#include "lithe/search/search.h"

#include <filesystem>

#include "lithe/base/stop.h"
#include "lithe/model/cost.h"
#include "lithe/search/costs.h"
#include "lithe/search/evolution.h"
#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/tiny_run.h"

namespace lithe {
namespace {

using testing::read_all;
using testing::TemporaryFolder;

Config tiny(const TemporaryFolder& folder, std::vector<std::string> sets) {
    for (const char* each : {"model.layout=\"?{s f -}u?{s f}\"", "train.max_tokens=3000", "train.precision=\"fp32\"",
                             "search.period=4", "search.retrain_tokens=0"})
        sets.insert(sets.begin(), each);
    return load_config(testing::tiny_config(folder), sets);
}

TEST(TrialSource, RandomSearchTriesEachAllowedLayoutOnce) {
    SearchConfig config;
    config.method = "random", config.trial_tokens = 100;
    TrialSource source(config, {3, 3}, 1, [](const auto& choices) { return choices[0] != 2; });
    std::set<std::vector<int64_t>> seen;
    while (const auto request = source.ask()) {
        EXPECT_TRUE(seen.insert(request->choices).second);
        EXPECT_EQ(source.tokens(request->rung), 100);
        source.tell(*request, double(request->choices[0] + request->choices[1]));
    }
    EXPECT_EQ(seen.size(), 6u);
    EXPECT_EQ(source.best()->choices, (std::vector<int64_t>{0, 0}));
}

TEST(TrialSource, RungsPromoteTheBestShare) {
    SearchConfig config;
    config.method = "evolution", config.trial_tokens = 900, config.population = 1000;
    TrialSource source(config, std::vector<int64_t>(6, 3), 1, [](const auto&) { return true; });
    EXPECT_EQ(source.tokens(0), 100);
    EXPECT_EQ(source.tokens(2), 900);
    std::vector<int64_t> asked(3, 0);
    auto worth = [](const std::vector<int64_t>& choices) {
        double sum = 0;
        for (size_t i = 0; i < choices.size(); ++i) sum += double(choices[i]) * double(i + 1);
        return sum;
    };
    double worst_promoted = 0;
    for (int i = 0; i < 130; ++i) {
        const auto request = source.ask();
        ASSERT_TRUE(request);
        ++asked[size_t(request->rung)];
        if (request->rung == 1) worst_promoted = std::max(worst_promoted, worth(request->choices));
        source.tell(*request, worth(request->choices));
    }
    EXPECT_NEAR(double(asked[0]) / double(asked[1]), 3, 0.5);
    EXPECT_NEAR(double(asked[1]) / double(asked[2]), 3, 0.8);
    EXPECT_EQ(source.best()->rung, 2);
}

// A worth that each place adds to on its own: evolution climbs, and passes random search with as many trials.
TEST(TrialSource, EvolutionClimbs) {
    auto best_of = [](const std::string& method) {
        SearchConfig config;
        config.method = method, config.population = 20, config.tournament = 6, config.rungs = 1;
        config.trial_tokens = 1;
        TrialSource source(config, std::vector<int64_t>(16, 3), 7, [](const auto&) { return true; });
        double best = 1e9;
        for (int i = 0; i < 300; ++i) {
            const auto request = source.ask();
            double bits = 0;
            for (int64_t choice : request->choices) bits += double(choice);
            source.tell(*request, bits);
            best = std::min(best, bits);
        }
        return best;
    };
    EXPECT_LE(best_of("evolution"), 1);
    EXPECT_GE(best_of("random"), 5);
}

TEST(Search, GumbelFindsALayoutAndTrainsItBesideOthers) {
    TemporaryFolder folder;
    const Config config =
        tiny(folder, {"search.retrain_tokens=640", "search.baselines=[\"sus\"]", "search.random_layouts=1",
                      "search.cost=\"flops\"", "search.cost_form=\"add\""});
    const std::string run = folder.file("search");
    const SearchResult result = run_search(config, run, {});
    EXPECT_EQ(result.stopped_by, "finished");
    ASSERT_EQ(result.trials.size(), 3u);
    EXPECT_EQ(result.trials[0].layout, result.layout);
    EXPECT_EQ(result.trials[1].layout, "sus");
    // counted from the table, and by a model of that layout
    const LanguageModel baseline(trial_config(config, "sus", 1), 256);
    CostShape shape = cost_shape(config);
    shape.batch = 1;
    EXPECT_NEAR(result.trials[1].cost / count_cost(baseline, shape).flops_per_token, 1, 1e-9);
    EXPECT_GT(*result.bits_per_byte, 0);
    const Config found = load_config(run + "/found.toml");
    EXPECT_EQ(found.model.layout, result.layout);
    EXPECT_FALSE(found.search.supernet);
    for (const char* file : {"costs.json", "search.json", "supernet/choices.jsonl", "trials/0/report.html"})
        EXPECT_TRUE(std::filesystem::exists(run + "/" + file)) << file;
    const std::string page = read_all(run + "/search.html");
    for (const char* words :
         {"Choices over time", "<polygon", "What candidates cost", "Trials", "found 0", "baseline 1"})
        EXPECT_NE(page.find(words), std::string::npos) << words;
    EXPECT_EQ(page.find("http"), std::string::npos);
    // again: everything is known
    const auto before = read_all(run + "/trials.jsonl");
    const SearchResult again = run_search(config, run, {});
    EXPECT_EQ(again.layout, result.layout);
    EXPECT_EQ(read_all(run + "/trials.jsonl"), before);
    // another baseline: only that one is trained
    Config more = config;
    more.search.baselines = {"fufu", "sus"};
    const SearchResult grown = run_search(more, run, {});
    ASSERT_EQ(grown.trials.size(), 4u);
    EXPECT_EQ(grown.trials[3].layout, "fufu");
    EXPECT_ERROR(load_model(run + "/supernet"), ExitCode::usage, "the network of a search");
}

TEST(Search, ChoicesRestWhileWeightsWarmUp) {
    TemporaryFolder folder;
    Config config =
        tiny(folder, {"search.supernet=true", "search.warmup=0.99", "train.max_steps=30", "train.max_tokens=0"});
    TrainOptions options;
    options.run = folder.file("run");
    const TrainResult result = Trainer(config, options).run();
    EXPECT_EQ(*result.choices, (std::vector<int64_t>{0, 0}));
    EXPECT_FALSE(std::filesystem::exists(folder.file("run/choices.jsonl")));
    for (const NamedTensor& each : read_tensors(folder.file("run/checkpoints/step-000000030/optimizer.safetensors"))) {
        if (each.name.rfind("architecture.", 0) != 0) continue;
        EXPECT_EQ(each.tensor.abs().max().item<double>(), 0) << each.name;
    }
}

TEST(Search, EvolutionGoesOnFromItsJournal) {
    TemporaryFolder folder;
    const Config config = tiny(folder, {"search.method=\"evolution\"", "search.trial_tokens=300", "search.population=2",
                                        "search.rungs=2", "train.max_tokens=1100"});
    const std::string whole = folder.file("whole"), broken = folder.file("broken");
    const SearchResult result = run_search(config, whole, {});
    ASSERT_GE(result.trials.size(), 3u);
    request_stop();
    EXPECT_EQ(run_search(config, broken, {}).stopped_by, "signal");
    clear_requests();
    Config less = config;
    less.train.max_tokens = 500;  // a budget may be raised later
    EXPECT_LT(run_search(less, broken, {}).trials.size(), result.trials.size());
    // a line cut off in the middle, as a power cut leaves it
    const std::string journal = read_all(broken + "/trials.jsonl");
    folder.write("broken/trials.jsonl", journal.substr(0, journal.size() - 9));
    const SearchResult resumed = run_search(config, broken, {});
    EXPECT_EQ(resumed.layout, result.layout);
    ASSERT_EQ(resumed.trials.size(), result.trials.size());
    for (size_t i = 0; i < result.trials.size(); ++i) {
        EXPECT_EQ(resumed.trials[i].layout, result.trials[i].layout);
        EXPECT_EQ(resumed.trials[i].bits_per_byte, result.trials[i].bits_per_byte);
    }

    Config other = config;
    other.search.population = 3;
    EXPECT_ERROR(run_search(other, broken, {}), ExitCode::usage, "search.population");
    std::string damaged = read_all(broken + "/trials.jsonl");
    damaged[damaged.find("\"layout\"") + 1] = '#';
    folder.write("broken/trials.jsonl", damaged);
    EXPECT_ERROR(run_search(config, broken, {}), ExitCode::bad_file, "damaged journal, line 1");
}

TEST(Search, WhatCannotBeIsToldBeforeAnythingRuns) {
    TemporaryFolder folder;
    auto search = [&](std::vector<std::string> sets) {
        run_search(tiny(folder, std::move(sets)), folder.file("refused"), {});
    };
    EXPECT_ERROR(search({"model.layout=\"sf\""}), ExitCode::usage, "no searched place");
    EXPECT_ERROR(search({"search.method=\"random\""}), ExitCode::usage, "search.trial_tokens");
    EXPECT_ERROR(search({"search.budget=5"}), ExitCode::usage, "a budget of what?");
    EXPECT_ERROR(search({"search.baselines=[\"sq\"]"}), ExitCode::usage, "unknown block 'q'");
    EXPECT_ERROR(search({"search.cost=\"parameters\"", "search.budget=5"}), ExitCode::usage,
                 "no layout meets the budget");
    EXPECT_ERROR(search({"train.max_tokens=0"}), ExitCode::usage, "a search needs a budget");
}

TEST(Search, TheResultIsWithinItsBudget) {
    TemporaryFolder folder;
    Config config = tiny(folder, {"search.cost=\"parameters\"", "train.max_tokens=1500"});
    TrainConfig train = config.train;
    const CostTable costs = measure_costs(config, 256, set_up_machine(train));
    ASSERT_EQ(costs.slots.size(), 2u);
    EXPECT_EQ(costs.slots[0][2], 0) << "the identity";
    // counted apart and together
    for (const std::vector<int64_t>& choices : {std::vector<int64_t>{0, 1}, {2, 0}, {1, 1}}) {
        Config concrete = trial_config(config, to_string(choose_layout(decoder_layout(config), choices)), 1);
        EXPECT_EQ(costs.of(choices), double(LanguageModel(concrete, 256).parameters().count()));
    }
    config.search.budget = costs.cheapest();
    const SearchResult result = run_search(config, folder.file("search"), {});
    EXPECT_LE(result.cost, config.search.budget);
    EXPECT_EQ(result.layout.substr(0, 1), "-");
}

TEST(Search, MemoryAndLatencyAreMeasured) {
    TemporaryFolder folder;
    for (const char* cost : {"search.cost=\"latency\"", "search.cost=\"memory\""}) {
        const Config config = tiny(folder, {cost});
        TrainConfig train = config.train;
        const CostTable costs = measure_costs(config, 256, set_up_machine(train));
        EXPECT_GT(costs.slots[0][0], 0) << cost;
        EXPECT_GT(costs.base, 0) << cost;
        EXPECT_EQ(costs.slots[0][2], 0) << cost;
        write_costs(folder.file("costs.json"), config, costs);
        EXPECT_EQ(read_costs(folder.file("costs.json"), config).slots, costs.slots);
        Config other = config;
        other.search.cost = "flops";
        EXPECT_ERROR(read_costs(folder.file("costs.json"), other), ExitCode::bad_file, "another search");
    }
    folder.write("costs.json", "{");
    EXPECT_ERROR(read_costs(folder.file("costs.json"), tiny(folder, {})), ExitCode::bad_file, "damaged");
}

}  // namespace
}  // namespace lithe
