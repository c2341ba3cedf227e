#include "lithe/report/comparison.h"

#include <cmath>

#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

// A run folder as training leaves it.
void write_run(const testing::TemporaryFolder& folder, const std::string& name, int seed, double bits,
               const std::string& more = "", double joules = -1) {
    folder.write(name + "/config.toml",
                 "[model]\nwidth = 64\nlayout = \"ux2\"\n[train]\nseed = " + std::to_string(seed) +
                     "\n[checkpoint]\nkeep = " + std::to_string(seed) + "\n" + more);
    std::string lines;
    for (int step = 1; step <= 40; ++step)
        lines += R"({"step":)" + std::to_string(step) + R"(,"tokens":)" + std::to_string(step * 100) +
                 R"(,"seconds":)" + std::to_string(step * 0.5) + R"(,"loss":)" + std::to_string(2.0 + 3.0 / step) +
                 R"(,"tokens_per_second":200.0,"peak_rss_bytes":1048576)" +
                 (joules >= 0 ? ",\"joules\":" + std::to_string(joules * step) : "") + "}\n";
    lines += R"({"step":40,"tokens":4000,"seconds":20.0,"valid":{"bits_per_byte":)" + std::to_string(bits) +
             R"(,"bytes":800,"tokens":400,"protocol":{"split":"valid","memory":256}}})" + "\n{\"step\":41, cut";
    folder.write(name + "/metrics.jsonl", lines);
    folder.write(name + "/run.json", R"({"starts":[{"cpu":"A","threads":1},{"cpu":"A","threads":2}]})");
}

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
    EXPECT_DOUBLE_EQ(*run.last_bits, 1.75);
    EXPECT_DOUBLE_EQ(*run.joules, 1200);
    EXPECT_EQ(run.settings.at("model.layout"), "ux2");
    EXPECT_EQ(run.machine.at("threads"), "2");
    // 2 bytes per token: nats per token to bits per byte
    EXPECT_NEAR(run.train.back().bits, (2 + 3.0 / 40) / std::log(2) / 2, 1e-6);
}

TEST(Comparison, TellsWhatIsNoRun) {
    testing::TemporaryFolder folder;
    folder.write("empty/notes.txt", "x");
    EXPECT_ERROR(read_run_record(folder.file("absent")), ExitCode::bad_file, "no such run folder");
    EXPECT_ERROR(read_run_record(folder.file("empty")), ExitCode::bad_file, "no config.toml");
}

TEST(Comparison, SeedsAreAGroupAndDifferencesAreTested) {
    testing::TemporaryFolder folder;
    const std::string wide = "[optimizer]\nlearning_rate = 0.5\n";
    write_run(folder, "plain-seed1", 1, 1.700), write_run(folder, "plain-seed2", 2, 1.704);
    write_run(folder, "fast-seed1", 1, 1.500, wide), write_run(folder, "fast-seed2", 2, 1.502, wide);
    const Comparison comparison = compare(folder, {"plain-seed1", "plain-seed2", "fast-seed1", "fast-seed2"});
    ASSERT_EQ(comparison.groups.size(), 2u);
    EXPECT_EQ(comparison.groups[0].name, "fast (2 seeds)");
    EXPECT_NEAR(comparison.groups[0].bits.mean, 1.501, 1e-9);
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
    write_run(folder, "a", 1, 1.7), write_run(folder, "b", 1, 1.8, "[optimizer]\nlearning_rate = 0.5\n");
    const Comparison comparison = compare(folder, {"a", "b"});
    EXPECT_FALSE(comparison.groups[1].p);
    EXPECT_EQ(verdict_of(comparison.groups[1]), "one run on a side: no test");
}

TEST(Comparison, SeedsThatDoNotDifferAreNotTested) {
    testing::TemporaryFolder folder;
    const std::string other = "[optimizer]\nlearning_rate = 0.5\n";
    write_run(folder, "focus1", 1, 1.7), write_run(folder, "focus2", 2, 1.7);
    write_run(folder, "b_s1", 1, 1.8, other), write_run(folder, "b_s2", 2, 1.8, other);
    const Comparison comparison = compare(folder, {"focus1", "focus2", "b_s1", "b_s2"});
    EXPECT_EQ(verdict_of(comparison.groups[1]), "seeds do not differ: no test");
    EXPECT_EQ(comparison.groups[0].name, "focus (2 seeds)") << "its last letter is its own";
    EXPECT_EQ(comparison.groups[1].name, "b (2 seeds)");
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
    write_run(folder, "small", 1, 1.9), write_run(folder, "good", 1, 1.7, std::string(rate) + "5\n");
    write_run(folder, "beaten", 1, 1.8, std::string(rate) + "6\n");
    write_run(folder, "best", 1, 1.6, std::string(rate) + "7\n");
    const Comparison comparison = compare(folder, {"small", "good", "beaten", "best"});
    EXPECT_EQ(comparison.fronts.at("parameters"), (std::vector<size_t>{0, 1, 3}));
    EXPECT_EQ(comparison.fronts.at("seconds"), (std::vector<size_t>{3})) << "all took as long";
}

TEST(Comparison, PricesAreStatedOrAbsent) {
    testing::TemporaryFolder folder;
    write_run(folder, "measured", 1, 1.7, "", 30), write_run(folder, "not", 2, 1.7);
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
    write_run(folder, "<a>", 1, 1.2345), write_run(folder, "b", 1, 1.5, "[optimizer]\nlearning_rate = 0.5\n");
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

}  // namespace
}  // namespace lithe
