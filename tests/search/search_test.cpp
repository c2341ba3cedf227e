// Searches as a user runs them, on a text of a few kilobytes.
#include "lithe/search/search.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lithe/model/cost.h"
#include "lithe/objectives/load_model.h"
#include "lithe/search/costs.h"
#include "lithe/search/search_time.h"
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
    EXPECT_GT(result.score->value, 0);
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
    EXPECT_ERROR(load_model(run + "/supernet"), ErrorKind::usage, "the network of a search");
}

// The cost of a layout was not looked at where search.cost is "none".
TEST(Search, RandomLayoutsCostAsMuchWhereTheSearchHasNoCost) {
    TemporaryFolder folder;
    const Config config = tiny(folder, {"model.layout=\"?{s f}?{s f}?{s f}u\"", "search.retrain_tokens=320",
                                        "search.random_layouts=3", "train.max_tokens=1500"});
    const SearchResult result = run_search(config, folder.file("search"), {});
    auto flops = [&](const std::string& layout) {
        const LanguageModel model(trial_config(config, layout, 1), 256);
        return count_cost(model, evaluation_shape(config)).flops_per_token;
    };
    int64_t random = 0;
    for (const Trial& trial : result.trials) {
        if (trial.origin != "random") continue;
        ++random;
        EXPECT_NEAR(flops(trial.layout) / flops(result.layout), 1, 0.05) << trial.layout << " and " << result.layout;
    }
    const auto told = std::count_if(result.notes.begin(), result.notes.end(), [](const std::string& note) {
        return note.find("random layouts instead of 3") != std::string::npos;
    });
    EXPECT_EQ(told, random < 3 ? 1 : 0);
}

TEST(Search, SaysWhereItsResultStands) {
    TemporaryFolder folder;
    const Config config = tiny(folder, {"search.retrain_tokens=320", "search.baselines=[\"sus\", \"fuf\", \"u\"]",
                                        "search.random_layouts=0", "train.max_tokens=1500"});
    const std::string run = folder.file("search");
    const SearchResult result = run_search(config, run, {});
    ASSERT_TRUE(result.rank);
    EXPECT_EQ(result.rank->of, result.trials.size());
    size_t better = 0;
    for (const Trial& trial : result.trials) better += trial.score.value < result.score->value;
    EXPECT_EQ(result.rank->place, better + 1);
    EXPECT_NE(read_all(run + "/search.html").find(result.rank->sentence), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(read_all(run + "/search.json"))["rank"]["sentence"], result.rank->sentence);
}

TEST(Search, WhereSettingsComeFromStaysKnown) {
    TemporaryFolder folder;
    const Config config = tiny(folder, {"search.retrain_tokens=320", "search.baselines=[\"sus\"]",
                                        "search.random_layouts=0", "train.max_tokens=1500"});
    const std::string run = folder.file("search");
    const SearchResult result = run_search(config, run, {});
    const std::string found = read_all(run + "/found.toml"), page = read_all(run + "/search.html"),
                      trial = read_all(run + "/trials/0/config.toml");
    for (const std::string& line :
         {"width = 16  # " + folder.file("tiny.toml") + " line 2", std::string("max_tokens = 1500  # a given setting"),
          "layout = \"" + result.layout + "\"  # the search"})
        EXPECT_NE(found.find(line), std::string::npos) << line;
    EXPECT_NE(page.find("width = 16  # " + folder.file("tiny.toml")), std::string::npos);
    EXPECT_NE(page.find("retrain_tokens = 320  # a given setting"), std::string::npos) << "settings of the search";
    EXPECT_NE(trial.find("max_tokens = 320  # the search"), std::string::npos);
    EXPECT_NE(trial.find("vocabulary_size = 0  # default"), std::string::npos) << "what was asked for";
    EXPECT_EQ(trial.find("retrain_tokens = 0  # a given setting"), std::string::npos);
}

TEST(SearchTime, CountsWhatEarlierStartsUsed) {
    TemporaryFolder folder;
    folder.write("supernet/metrics.jsonl", "{\"step\":1,\"seconds\":5.0}\n");
    folder.write("trials/0/metrics.jsonl", "{\"step\":1,\"seconds\":7.0}\n{\"step\":2,\"sec");
    {
        SearchTime time(folder.path(), 1e6);
        EXPECT_GE(time.used(), 12);
        EXPECT_LE(time.left(), 1e6 - 12);
        time.note_evaluation(1000);
        EXPECT_LE(time.left(), 1e6 - 1012) << "kept for the evaluation at the end of a training";
        EXPECT_FALSE(std::filesystem::exists(folder.file("time.json"))) << "the search has not begun";
        folder.write("config.toml", "");
    }
    EXPECT_GE(nlohmann::json::parse(read_all(folder.file("time.json")))["seconds"], 12);
    folder.write("time.json", "{\"seconds\": 500}");
    EXPECT_GE(SearchTime(folder.path(), 1000).used(), 500);
    EXPECT_LE(SearchTime(folder.path(), 400).left(), 0);
    EXPECT_TRUE(std::isinf(SearchTime(folder.path(), 0).left()));
    folder.write("time.json", "{");
    EXPECT_ERROR(SearchTime(folder.path(), 1), ErrorKind::bad_file, "not JSON");
    std::filesystem::remove(folder.file("time.json"));
}

TEST(SearchTime, TheNetworkHasHalfOfItAndIsTrainedOnce) {
    TemporaryFolder folder;
    folder.write("config.toml", "");
    {
        SearchTime time(folder.path(), 600);
        EXPECT_EQ(time.network_limit(true), 300);
        EXPECT_EQ(time.network_limit(false), 600) << "nothing is trained behind it";
        time.network_is_trained(300);
    }
    EXPECT_EQ(SearchTime(folder.path(), 600).network_limit(false), 300) << "as it was";
    EXPECT_EQ(SearchTime(folder.path(), 6000).network_limit(true), 300) << "more time is for the others";
    EXPECT_EQ(SearchTime(folder.path(), 6000).network_limit(false), 6000);
}

// --max-time ended the training of the network only.
TEST(Search, TimeEndsAllOfIt) {
    TemporaryFolder folder;
    Config config = tiny(folder, {"search.retrain_tokens=320", "search.baselines=[\"sus\"]", "search.random_layouts=0",
                                  "train.max_tokens=1500", "train.max_seconds=1000"});
    const std::string run = folder.file("search");
    folder.write("search/time.json", "{\"seconds\": 5000}");
    const SearchResult result = run_search(config, run, {});
    EXPECT_EQ(result.stopped_by, "time");
    EXPECT_TRUE(result.trials.empty());
    EXPECT_FALSE(result.score);
    EXPECT_FALSE(result.rank);
    ASSERT_FALSE(result.notes.empty());
    EXPECT_NE(result.notes.back().find("not trained alone are found " + result.layout), std::string::npos);
    EXPECT_NE(read_all(run + "/search.html").find("not trained alone are found"), std::string::npos);
    const std::string network = read_all(run + "/supernet/metrics.jsonl");
    config.train.max_seconds = 100'000;
    const SearchResult more = run_search(config, run, {});
    EXPECT_EQ(more.stopped_by, "finished");
    EXPECT_EQ(more.layout, result.layout);
    EXPECT_GE(more.trials.size(), 1u);
    EXPECT_EQ(read_all(run + "/supernet/metrics.jsonl"), network) << "the network was trained";

    Config random = tiny(folder, {"search.method=\"random\"", "search.trial_tokens=300", "train.max_tokens=0",
                                  "train.max_seconds=1000"});
    folder.write("random/time.json", "{\"seconds\": 5000}");
    EXPECT_ERROR(run_search(random, folder.file("random"), {}), ErrorKind::usage, "the search made no trial");
}

// It goes on when it is given more, and its result is that of a trial that was never cut off.
TEST(Search, ATrialThatTimeCutsOffHasNoResult) {
    TemporaryFolder folder;
    Config config = tiny(folder, {"search.retrain_tokens=4000", "train.max_tokens=1500"});
    std::filesystem::create_directories(folder.file("s"));
    folder.write("s/config.toml", "");
    TrialJournal journal(folder.file("s"));
    Trial trial{0, "found", "suf", 4000}, whole = trial;
    {
        SearchTime little(folder.file("s"), 0.02);
        EXPECT_EQ(run_trial(config, folder.file("s"), journal, trial, little, {}), TrialEnd::out_of_time);
        EXPECT_TRUE(journal.trials().empty());
    }
    SearchTime enough(folder.file("s"), 0);
    EXPECT_EQ(run_trial(config, folder.file("s"), journal, trial, enough, {}), TrialEnd::trained);
    TrialJournal other(folder.file("other"));
    EXPECT_EQ(run_trial(config, folder.file("other"), other, whole, enough, {}), TrialEnd::trained);
    EXPECT_EQ(trial.score.value, whole.score.value);
    // what takes longer than is left is not begun
    const double trial_seconds = trial.seconds;
    trial = Trial{0, "baseline", "sus", 4000};
    SearchTime less(folder.file("s"), trained_seconds(folder.file("s/trials/0")) + 0.2 * trial_seconds);
    EXPECT_EQ(run_trial(config, folder.file("s"), journal, trial, less, {}), TrialEnd::out_of_time);
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
        if (each.name.rfind("search/architecture.", 0) != 0) continue;
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
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(run_search(config, broken, {.stop = stop.get_token()}).stopped_by, "signal");
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
        EXPECT_EQ(resumed.trials[i].score.value, result.trials[i].score.value);
    }

    Config other = config;
    other.search.population = 3;
    EXPECT_ERROR(run_search(other, broken, {}), ErrorKind::usage, "search.population");
    std::string damaged = read_all(broken + "/trials.jsonl");
    damaged[damaged.find("\"layout\"") + 1] = '#';
    folder.write("broken/trials.jsonl", damaged);
    EXPECT_ERROR(run_search(config, broken, {}), ErrorKind::bad_file, "damaged journal, line 1");
}

TEST(Search, WhatCannotBeIsToldBeforeAnythingRuns) {
    TemporaryFolder folder;
    auto search = [&](std::vector<std::string> sets) {
        run_search(tiny(folder, std::move(sets)), folder.file("refused"), {});
    };
    EXPECT_ERROR(search({"model.layout=\"sf\""}), ErrorKind::usage, "no searched place");
    EXPECT_ERROR(search({"search.method=\"random\""}), ErrorKind::usage, "search.trial_tokens");
    EXPECT_ERROR(search({"search.budget=5"}), ErrorKind::usage, "a budget of what?");
    EXPECT_ERROR(search({"search.baselines=[\"sq\"]"}), ErrorKind::usage, "unknown block 'q'");
    EXPECT_ERROR(search({"search.cost=\"parameters\"", "search.budget=5"}), ErrorKind::usage,
                 "no layout meets the budget");
    EXPECT_ERROR(search({"train.max_tokens=0"}), ErrorKind::usage, "a search needs a budget");
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
        other.search.cost = CostUnit::flops;
        EXPECT_ERROR(read_costs(folder.file("costs.json"), other), ErrorKind::bad_file, "another search");
    }
    folder.write("costs.json", "{");
    EXPECT_ERROR(read_costs(folder.file("costs.json"), tiny(folder, {})), ErrorKind::bad_file, "damaged");
}

}  // namespace
}  // namespace lithe
