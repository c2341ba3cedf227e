#include "lithe/report/comparison.h"

#include <cmath>

#include "support/errors.h"
#include "support/files.h"
#include "support/written_run.h"

namespace lithe {
namespace {

using testing::change_valid;
using testing::name_data;
using testing::write_run;
using testing::write_seeds;

Comparison compare(const testing::TemporaryFolder& folder, const std::vector<std::string>& names,
                   const Prices& prices = {}) {
    std::vector<RunRecord> runs;
    for (const std::string& name : names) {
        runs.push_back(read_run_record(folder.file(name)));
        runs.back().parameters = int64_t(1000 * runs.size());
        runs.back().training_flops_per_token = 6000;
    }
    return compare_runs(std::move(runs), prices);
}

TEST(Statistics, StudentAgreesWithTables) {
    // t for 95 % two-sided: 12.706 with 1 degree of freedom, 4.303 with 2, 2.228 with 10, 1.984 with 100
    for (auto [freedom, t] : {std::pair(1.0, 12.7062), {2.0, 4.30265}, {10.0, 2.22814}, {100.0, 1.98397}})
        EXPECT_NEAR(student_p(t, freedom), 0.05, 1e-6) << freedom;
    EXPECT_DOUBLE_EQ(student_p(0, 5), 1);
    EXPECT_NEAR(student_p(1, 1), 0.5, 1e-12);  // Cauchy
    const Sample sample = describe({1, 2, 3, 4});
    EXPECT_DOUBLE_EQ(sample.mean, 2.5);
    EXPECT_NEAR(sample.deviation, 1.290994, 1e-6);
    EXPECT_NEAR(sample.half, 3.182446 * 1.290994 / 2, 1e-5);
    EXPECT_EQ(describe({7}).half, 0);
}

TEST(Statistics, WelchAgreesWithAWorkedExample) {
    // t = -3.67658 with 4.86127 degrees of freedom; the density integrated numerically
    const auto p = welch_p(describe({1.1, 1.2, 1.4}), describe({1.6, 1.5, 1.9, 1.8}));
    ASSERT_TRUE(p);
    EXPECT_NEAR(*p, 0.0150793, 1e-6);
    EXPECT_FALSE(welch_p(describe({1}), describe({2, 3})));
    EXPECT_FALSE(welch_p(describe({1, 1}), describe({1, 1})));
}

TEST(Comparison, ReadsARunFolder) {
    testing::TemporaryFolder folder;
    write_run(folder, "a", 1, 1.75, "", 30);
    const RunRecord run = read_run_record(folder.file("a/"));
    EXPECT_EQ(run.name, "a");
    EXPECT_EQ(run.steps, 40);
    EXPECT_EQ(run.tokens, 4000);
    EXPECT_DOUBLE_EQ(run.seconds, 20);
    EXPECT_DOUBLE_EQ(*run.last_score, 1.75);
    EXPECT_DOUBLE_EQ(*run.joules, 1200);
    EXPECT_EQ(run.settings.at("model.layout"), "ux2");
    EXPECT_EQ(run.machine.at("threads"), "2");
    // 2 bytes per token: nats per token to bits per byte
    EXPECT_NEAR(run.train.back().value, (2 + 3.0 / 40) / std::log(2) / 2, 1e-6);
}

TEST(Comparison, WhatWasLeftToTheMachineIsWhatItMadeOfIt) {
    testing::TemporaryFolder folder;
    auto precision = [&](const std::string& asked) {
        write_run(folder, asked, 1, 1.75);
        folder.write(asked + "/config.toml", "[train]\nprecision = \"" + asked + "\"\n");
        folder.write(asked + "/run.json", R"({"starts":[{"precision":"bf16"}]})");
        return read_run_record(folder.file(asked)).settings.at("train.precision");
    };
    EXPECT_EQ(precision("auto"), "bf16");
    EXPECT_EQ(precision("fp32"), "fp32");
}

TEST(Comparison, TellsWhatIsNoRun) {
    testing::TemporaryFolder folder;
    folder.write("empty/notes.txt", "x");
    EXPECT_ERROR(read_run_record(folder.file("absent")), ErrorKind::bad_file, "no such run folder");
    EXPECT_ERROR(read_run_record(folder.file("empty")), ErrorKind::bad_file, "no config.toml");
}

TEST(Comparison, SeedsAreAGroupAndDifferencesAreTested) {
    testing::TemporaryFolder folder;
    const std::string wide = "[optimizer]\nlearning_rate = 0.5\n";
    write_seeds(folder, "plain-seed", {1.700, 1.704});
    write_seeds(folder, "fast-seed", {1.500, 1.502}, wide);
    const Comparison comparison = compare(folder, {"plain-seed1", "plain-seed2", "fast-seed1", "fast-seed2"});
    ASSERT_EQ(comparison.groups.size(), 2u);
    EXPECT_EQ(comparison.groups[0].name, "fast (2 seeds)");
    EXPECT_NEAR(comparison.groups[0].scores.mean, 1.501, 1e-9);
    EXPECT_NEAR(*comparison.groups[1].difference, 0.201, 1e-9);
    EXPECT_LT(*comparison.groups[1].p, 0.01);
    EXPECT_NE(verdict_of(comparison.groups[1]).find("real, p"), std::string::npos);
    EXPECT_EQ(comparison.differences.at("optimizer.learning_rate"),
              (std::vector<std::string>{"0.001", "0.001", "0.5", "0.5"}));
    EXPECT_EQ(comparison.differences.count("model.width"), 0u);
    EXPECT_TRUE(comparison.warnings.empty()) << comparison.warnings[0];
}

TEST(Comparison, OneRunOnASideIsNotTested) {
    testing::TemporaryFolder folder;
    write_run(folder, "a", 1, 1.7);
    write_run(folder, "b", 1, 1.8, "[optimizer]\nlearning_rate = 0.5\n");
    const Comparison comparison = compare(folder, {"a", "b"});
    EXPECT_FALSE(comparison.groups[1].p);
    EXPECT_EQ(verdict_of(comparison.groups[1]), "one run on a side: no test");
}

TEST(Comparison, SeedsThatDoNotDifferAreNotTested) {
    testing::TemporaryFolder folder;
    const std::string other = "[optimizer]\nlearning_rate = 0.5\n";
    write_seeds(folder, "focus", {1.7, 1.7});
    write_seeds(folder, "b_s", {1.8, 1.8}, other);
    const Comparison comparison = compare(folder, {"focus1", "focus2", "b_s1", "b_s2"});
    EXPECT_EQ(verdict_of(comparison.groups[1]), "seeds do not differ: no test");
    EXPECT_EQ(comparison.groups[0].name, "focus (2 seeds)") << "its last letter is its own";
    EXPECT_EQ(comparison.groups[1].name, "b (2 seeds)");
}

TEST(Statistics, TheIntervalOfADifferenceAgreesWithItsTest) {
    // two seeds a side: 0.2 apart, deviation 0.00282843 each; freedom 2, t = 4.30265: half = 4.30265 * 0.00282843
    const Sample a = describe({1.700, 1.704}), b = describe({1.500, 1.504});
    EXPECT_NEAR(*welch_half(a, b), 4.30265 * 0.00282843, 1e-6);
    EXPECT_LT(*welch_p(a, b), 0.05);
    // whose difference is just at the edge of its interval
    const double half = *welch_half(describe({1, 1.1}), describe({0, 0.3}));
    EXPECT_NEAR(*welch_p(describe({half, half + 0.1}), describe({-0.1, 0.2})), 0.05, 1e-6);
    EXPECT_FALSE(welch_half(describe({1}), describe({2, 3})));
}

TEST(Statistics, WhatIsAlmostEqualDoesNotWin) {
    EXPECT_EQ(unbeaten({{100, 1.5}, {99.9, 1.9}}), (std::vector<size_t>{0}));
    EXPECT_EQ(unbeaten({{100, 1.5}, {50, 1.5005}}), (std::vector<size_t>{1}));
    EXPECT_EQ(unbeaten({{100, 1.5}, {50, 1.9}}), (std::vector<size_t>{1, 0}));
    // a chain of small steps always leaves someone
    std::vector<Trade> chain;
    for (int i = 0; i < 40; ++i) chain.push_back({100 + 1.5 * (i * 7 % 40), 1.5 - 0.0012 * i});
    EXPECT_FALSE(unbeaten(chain).empty());
}

TEST(Statistics, UnbeatenIsTheLowerLeftEdge) {
    EXPECT_EQ(unbeaten({{3, 1}, {1, 3}, {2, 2}, {2, 3}, {3, 2}}), (std::vector<size_t>{1, 2, 0}));
    EXPECT_EQ(unbeaten({{1, 1}, {1, 1}, {1, 2}, {2, 1}}), (std::vector<size_t>{0, 1}))
        << "equals do not beat each other";
    EXPECT_TRUE(unbeaten({}).empty());
}

TEST(Comparison, FrontHoldsWhatIsNotBeaten) {
    testing::TemporaryFolder folder;
    const char* rate = "[optimizer]\nlearning_rate = 0.";
    // parameters 1000, 2000, 3000, 4000 by place
    write_run(folder, "small", 1, 1.9);
    write_run(folder, "good", 1, 1.7, std::string(rate) + "5\n");
    write_run(folder, "beaten", 1, 1.8, std::string(rate) + "6\n");
    write_run(folder, "best", 1, 1.6, std::string(rate) + "7\n");
    const Comparison comparison = compare(folder, {"small", "good", "beaten", "best"});
    const auto fronts = comparison_json(comparison)["fronts"];
    EXPECT_EQ(fronts["parameters"], (nlohmann::ordered_json{"small", "good", "best"}));
    EXPECT_EQ(fronts["seconds"], (nlohmann::ordered_json{"best"})) << "all took as long";
}

// The worst run was "not beaten in training time" by a thousandth of it.
TEST(Comparison, ADifferenceWithinNoiseIsNoWin) {
    testing::TemporaryFolder folder;
    write_run(folder, "best", 1, 1.5);
    write_run(folder, "worst", 1, 1.9, "[optimizer]\nlearning_rate = 0.5\n");
    std::string metrics = testing::read_all(folder.file("worst/metrics.jsonl"));
    for (size_t at = 0; (at = metrics.find("\"seconds\":20.0", at)) != std::string::npos; at += 10)
        metrics.replace(at, 14, "\"seconds\":19.98");
    folder.write("worst/metrics.jsonl", metrics);
    const Comparison comparison = compare(folder, {"best", "worst"});
    ASSERT_LT(comparison.runs[1].seconds, comparison.runs[0].seconds);
    EXPECT_EQ(comparison_json(comparison)["fronts"]["seconds"], (nlohmann::ordered_json{"best"}));
    for (const std::string& shown : {comparison_text(comparison), comparison_page(comparison)})
        EXPECT_NE(shown.find("Costs within 2 % and scores within 0.1 % count as equal"), std::string::npos);
}

TEST(Comparison, FrontsAreOfGroups) {
    testing::TemporaryFolder folder;
    const char* rate = "[optimizer]\nlearning_rate = 0.5\n";
    write_seeds(folder, "a-seed", {1.70, 1.80});
    write_seeds(folder, "b-seed", {1.71, 1.72}, rate);
    const auto fronts = comparison_json(compare(folder, {"a-seed1", "a-seed2", "b-seed1", "b-seed2"}))["fronts"];
    EXPECT_EQ(fronts["seconds"], (nlohmann::ordered_json{"b (2 seeds)"})) << "one lucky seed is not a win";
}

TEST(Comparison, RunsOnOtherTextsAreNotRanked) {
    testing::TemporaryFolder folder;
    const char* rate = "[optimizer]\nlearning_rate = 0.5\n";
    write_run(folder, "a", 1, 1.7);
    write_run(folder, "b", 1, 1.8, rate);
    write_run(folder, "easy", 1, 0.9);
    write_run(folder, "part", 1, 1.2);
    for (const char* name : {"a", "b", "part"}) name_data(folder, name, "f1", "bytes");
    name_data(folder, "easy", "f2", "bytes");
    change_valid(folder, "part", "\"bytes\":800", "\"bytes\":400");
    const Comparison comparison = compare(folder, {"a", "b", "easy", "part"});
    ASSERT_EQ(comparison.rankings.size(), 3u);
    EXPECT_EQ(comparison.rankings[0].runs, (std::vector<size_t>{0, 1}));
    const auto json = comparison_json(comparison);
    EXPECT_EQ(json["groups"][0]["verdict"], "best");
    EXPECT_EQ(json["groups"][0]["name"], "a");
    EXPECT_NEAR(json["groups"][1]["difference"].get<double>(), 0.1, 1e-9);
    for (int other : {2, 3}) {
        EXPECT_EQ(json["groups"][other]["verdict"], "alone");
        EXPECT_TRUE(json["groups"][other]["difference"].is_null());
    }
    EXPECT_EQ(json["fronts"]["seconds"], (nlohmann::ordered_json{"a", "easy", "part"})) << "each in its ranking";
    for (const std::string& shown : {comparison_text(comparison), comparison_page(comparison), json.dump()}) {
        EXPECT_NE(shown.find("easy was trained on other data than a (fingerprint f2, not f1)"), std::string::npos);
        EXPECT_NE(shown.find("part was scored on another text than a (400 bytes, not 800)"), std::string::npos);
    }
    EXPECT_NE(comparison_text(comparison).find("Ranking 2: easy"), std::string::npos);
}

// Another tokenizer changes the fingerprint of the same text; other settings that name it are another text.
TEST(Comparison, TokenizersOfOneTextAreRanked) {
    testing::TemporaryFolder folder;
    const std::string data = "[data]\npath = \"/texts/one/input.txt\"\n";
    write_run(folder, "bytes", 1, 1.7, data);
    write_run(folder, "bpe", 1, 1.6, "[data]\npath = \"one/input.txt\"\ntokenizer = \"bpe\"\n");
    write_run(folder, "two", 1, 1.5, "[data]\npath = \"/texts/two/input.txt\"\ntokenizer = \"bpe\"\n");
    name_data(folder, "bytes", "f1", "b");
    name_data(folder, "bpe", "f2", "p");
    name_data(folder, "two", "f3", "p");
    change_valid(folder, "bpe", "\"bytes\":800", "\"bytes\":793");
    const Comparison comparison = compare(folder, {"bytes", "bpe", "two"});
    ASSERT_EQ(comparison.rankings.size(), 2u);
    EXPECT_EQ(comparison.rankings[0].runs, (std::vector<size_t>{0, 1}));
    EXPECT_EQ(comparison.groups[0].name, "bpe");
}

// A word vocabulary whose unknown words cost nothing "won" at 0.335 against 0.964.
TEST(Comparison, UnspokenBytesAreNotRankedAgainstOtherTokenizers) {
    testing::TemporaryFolder folder;
    const char* words = "[data]\ntokenizer = \"words\"\n";
    write_run(folder, "w1", 1, 0.335, words);
    write_run(folder, "bytes", 1, 0.964);
    write_run(folder, "w2", 1, 0.400, std::string(words) + "[optimizer]\nlearning_rate = 0.5\n");
    write_run(folder, "chars", 1, 0.990, "[data]\ntokenizer = \"characters\"\n");
    for (const char* name : {"w1", "w2"}) {
        name_data(folder, name, "f1", "w");
        change_valid(folder, name, "\"bytes\":800", "\"unspoken_share\":0.625,\"bytes\":800");
    }
    name_data(folder, "bytes", "f2", "b");
    name_data(folder, "chars", "f3", "c");
    const Comparison comparison = compare(folder, {"w1", "bytes", "w2", "chars"});
    ASSERT_EQ(comparison.rankings.size(), 2u);
    EXPECT_EQ(comparison.rankings[0].runs, (std::vector<size_t>{0, 2})) << "one tokenizer: they compare";
    EXPECT_EQ(comparison.rankings[1].runs, (std::vector<size_t>{1, 3})) << "nothing is unspoken: they compare";
    const auto json = comparison_json(comparison);
    EXPECT_EQ(json["runs"][0]["unspoken_share"], 0.625);
    EXPECT_EQ(json["groups"][2]["verdict"], "best");
    for (const std::string& shown : {comparison_text(comparison), comparison_page(comparison), json.dump()})
        EXPECT_NE(shown.find("The tokenizer of w1 leaves 62.5 % of the scored bytes unspoken"), std::string::npos);
}

TEST(Comparison, EveryVerdictIsASentence) {
    testing::TemporaryFolder folder;
    auto rate = [](int i) { return "[optimizer]\nlearning_rate = 0." + std::to_string(i) + "\n"; };
    write_seeds(folder, "a-seed", {1.000, 1.010});
    write_seeds(folder, "b-seed", {1.300, 1.305}, rate(2));
    write_seeds(folder, "c-seed", {1.010, 1.020}, rate(3));
    write_run(folder, "d", 1, 1.4, rate(4));
    const Comparison comparison =
        compare(folder, {"a-seed1", "a-seed2", "b-seed1", "b-seed2", "c-seed1", "c-seed2", "d"});
    const auto json = comparison_json(comparison);
    const char* sentences[] = {"a (2 seeds) is the best, with 1.0050 bits per byte.",
                               "c (2 seeds) is 0.0100 bits per byte (0.995 %) worse than a (2 seeds), give or take",
                               "b (2 seeds) is 0.2975 bits per byte (29.6 %) worse than a (2 seeds), give or take",
                               "with one seed on a side it cannot be told"};
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_NE(json["groups"][i]["sentence"].get<std::string>().find(sentences[i]), std::string::npos)
            << json["groups"][i]["sentence"];
        for (const std::string& shown : {comparison_text(comparison), comparison_page(comparison)})
            EXPECT_NE(shown.find(sentences[i]), std::string::npos) << sentences[i];
    }
    EXPECT_NE(json["groups"][1]["sentence"].get<std::string>().find("chance alone may"), std::string::npos);
    EXPECT_NE(json["groups"][2]["sentence"].get<std::string>().find("more than chance"), std::string::npos);
    // the interval shown beside a verdict is that of the difference, and agrees with it
    for (int i : {1, 2})
        EXPECT_EQ(json["groups"][i]["difference"] > json["groups"][i]["difference_half_interval_95"], i == 2);
}

TEST(Comparison, ASeedRunTwiceCountsOnce) {
    testing::TemporaryFolder folder;
    const char* other = "[optimizer]\nlearning_rate = 0.5\n";
    write_run(folder, "a-1", 1, 1.70);
    write_run(folder, "a-2", 1, 1.71);
    write_seeds(folder, "b-", {1.80, 1.81}, other);
    const Comparison comparison = compare(folder, {"a-1", "a-2", "b-1", "b-2"});
    EXPECT_EQ(comparison.groups[0].name, "a (2 runs of 1 seed)");
    EXPECT_EQ(verdict_of(comparison.groups[1]), "one run on a side: no test");
}

TEST(Comparison, TheSameTextElsewhereIsTheSameGroup) {
    testing::TemporaryFolder folder;
    write_run(folder, "a-seed1", 1, 1.70, "[data]\npath = \"text.txt\"\n");
    write_run(folder, "a-seed2", 2, 1.71, "[data]\npath = \"/home/text.txt\"\n");
    for (const char* name : {"a-seed1", "a-seed2"}) name_data(folder, name, "f1", "b");
    EXPECT_EQ(compare(folder, {"a-seed1", "a-seed2"}).groups.size(), 1u);
}

TEST(Comparison, PricesAreStatedOrAbsent) {
    testing::TemporaryFolder folder;
    write_run(folder, "measured", 1, 1.7, "", 30);
    write_run(folder, "not", 2, 1.7);
    const auto without = comparison_json(compare(folder, {"measured", "not"}));
    EXPECT_FALSE(without["runs"][0].contains("cost"));
    EXPECT_EQ(without["runs"][0]["energy"], "measured");
    EXPECT_TRUE(without["runs"][1]["joules"].is_null());
    const auto with = comparison_json(compare(folder, {"measured", "not"}, {3.6, 100, 360}));
    EXPECT_DOUBLE_EQ(with["runs"][0]["cost"], 0.02);
    EXPECT_DOUBLE_EQ(with["runs"][0]["joules"], 1200);
    EXPECT_DOUBLE_EQ(with["runs"][1]["joules"], 2000);
    EXPECT_EQ(with["runs"][1]["energy"], "estimated from stated watts");
    EXPECT_NEAR(with["runs"][1]["co2_grams"], 0.2, 1e-9);
}

TEST(Comparison, OtherProtocolsAreTold) {
    testing::TemporaryFolder folder;
    write_run(folder, "a", 1, 1.7);
    write_run(folder, "b", 1, 1.7, "[optimizer]\nlearning_rate = 0.5\n");
    std::string metrics = testing::read_all(folder.file("b/metrics.jsonl"));
    metrics.replace(metrics.find("\"memory\":256"), 12, "\"memory\":999");
    folder.write("b/metrics.jsonl", metrics);
    const Comparison comparison = compare(folder, {"a", "b"});
    ASSERT_EQ(comparison.warnings.size(), 1u);
    EXPECT_NE(comparison.warnings[0].find("memory 999 instead of 256"), std::string::npos);
}

TEST(Comparison, TextAndPageHoldTheNumbers) {
    testing::TemporaryFolder folder;
    write_run(folder, "<a>", 1, 1.2345);
    write_run(folder, "b", 1, 1.5, "[optimizer]\nlearning_rate = 0.5\n");
    const Comparison comparison = compare(folder, {"<a>", "b"}, {2, 50, 300});
    const std::string text = comparison_text(comparison), page = comparison_page(comparison);
    for (const char* words : {"1.2345", "+0.2655", "learning_rate", "no test"}) {
        EXPECT_NE(text.find(words), std::string::npos) << words;
        EXPECT_NE(page.find(words), std::string::npos) << words;
    }
    EXPECT_NE(page.find("&lt;a&gt;"), std::string::npos);
    EXPECT_EQ(page.find("<a>"), std::string::npos);
    EXPECT_EQ(page.find("http"), std::string::npos) << "no network";
    for (const char* chart : {"against steps", "against tokens", "against training time", "against training FLOPs",
                              "against cost", "against parameters"})
        EXPECT_NE(page.find(chart), std::string::npos) << chart;
}

TEST(Comparison, SaysWhatACostLeavesOut) {
    testing::TemporaryFolder folder;
    for (const char* name : {"a", "b"}) write_run(folder, name, 1, 1.75);
    const auto record = [&](const char* name, int64_t tokens) {
        RunRecord run = read_run_record(folder.file(name));
        run.config.train.max_seconds = 60;
        run.tokens = tokens;
        return run;
    };
    EXPECT_TRUE(compare_runs({record("a", 1000), record("b", 1100)}, {}).warnings.empty());
    const auto unequal = compare_runs({record("a", 1000), record("b", 3000)}, {}).warnings;
    ASSERT_EQ(unequal.size(), 1u);
    EXPECT_NE(unequal[0].find("b saw 3000 tokens, a 1000"), std::string::npos) << unequal[0];
    RunRecord begun = record("b", 1000);
    begun.config.train.init_from = "runs/other";
    const auto from = compare_runs({record("a", 1000), begun}, {}).warnings;
    ASSERT_EQ(from.size(), 1u);
    EXPECT_NE(from[0].find("b began with weights of runs/other"), std::string::npos) << from[0];
}

}  // namespace
}  // namespace lithe
