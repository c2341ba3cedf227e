// Runs that are judged by something else than bits per byte, and by something of which more is better.
#include "lithe/base/score.h"

#include <gtest/gtest.h>

#include "lithe/report/comparison.h"
#include "lithe/report/report.h"
#include "support/files.h"

namespace lithe {
namespace {

using testing::TemporaryFolder;

const char* const kAccuracy = R"("name":"accuracy","unit":"of 1 right","less_is_better":false)";

// Evaluated twice: the first was the better one.
void write_run(const TemporaryFolder& folder, const std::string& name, double first, double last, double rate,
               const std::string& kind = kAccuracy) {
    folder.write(name + "/config.toml", "[optimizer]\nlearning_rate = " + std::to_string(rate) + "\n");
    std::string lines;
    for (int step = 1; step <= 4; ++step)
        lines += R"({"step":)" + std::to_string(step) + R"(,"tokens":100,"seconds":2,"loss":)" +
                 std::to_string(3.0 / step) + "}\n";
    for (const double value : {first, last})
        lines += R"({"step":4,"tokens":100,"seconds":2,"valid":{"score":{)" + kind + R"(,"value":)" +
                 std::to_string(value) + R"(},"bytes":800,"tokens":400}})" + "\n";
    folder.write(name + "/metrics.jsonl", lines);
}

Comparison compare(const TemporaryFolder& folder, const std::vector<std::string>& names) {
    std::vector<RunRecord> runs;
    for (const std::string& name : names) {
        runs.push_back(read_run_record(folder.file(name)));
        runs.back().parameters = int64_t(1000 * runs.size());
    }
    return compare_runs(std::move(runs), {});
}

TEST(Scores, ReadFromLines) {
    const auto score = score_of(nlohmann::json::parse(R"({"score":{"name":"f1","less_is_better":false,"value":0.5}})"));
    ASSERT_TRUE(score);
    EXPECT_EQ(score->kind, (ScoreKind{"f1", "f1", false}));
    EXPECT_EQ(score->value, 0.5);
    EXPECT_EQ(score_of({{"bits_per_byte", 1.5}})->value, 1.5);
    EXPECT_FALSE(score_of(nlohmann::json(to_json(Score{{"a", "b", false}, 2})))) << "it stands under \"score\"";
    for (const char* text :
         {"{}", "[]", "3", R"({"score":3})", R"({"score":{"value":"x"}})", R"({"bits_per_byte":null})"})
        EXPECT_FALSE(score_of(nlohmann::json::parse(text))) << text;
}

TEST(Scores, MoreMayBeBetter) {
    TemporaryFolder folder;
    write_run(folder, "low", 0.75, 0.7, 0.1);
    write_run(folder, "high", 0.95, 0.9, 0.2);
    const Comparison comparison = compare(folder, {"low", "high"});
    EXPECT_EQ(*comparison.runs[0].best_score, 0.75);
    ASSERT_EQ(comparison.groups.size(), 2u);
    EXPECT_EQ(comparison.groups[0].name, "high");
    EXPECT_EQ(comparison.groups[0].sentence, "high is the best, with 0.9000 of 1 right.");
    EXPECT_NE(comparison.groups[1].sentence.find("low is 0.2000 of 1 right (22.2 %) worse than high"),
              std::string::npos)
        << comparison.groups[1].sentence;
    const auto json = comparison_json(comparison);
    EXPECT_EQ(json["runs"][0]["accuracy"], 0.7);
    EXPECT_EQ(json["runs"][0]["best_accuracy"], 0.75);
    EXPECT_EQ(json["runs"][0]["less_is_better"], false);
    EXPECT_NEAR(json["groups"][1]["difference"].get<double>(), -0.2, 1e-12);
    // low has fewer parameters, high is better: neither beats the other
    EXPECT_EQ(json["fronts"]["parameters"], (nlohmann::ordered_json{"low", "high"}));
    EXPECT_EQ(json["fronts"]["seconds"], (nlohmann::ordered_json{"high"}));
    EXPECT_NE(comparison_text(comparison).find("of 1 right"), std::string::npos);
    EXPECT_EQ(comparison_text(comparison).find("bits per byte"), std::string::npos);
}

TEST(Scores, PagesNameTheUnitAndDrawTheLossApart) {
    TemporaryFolder folder;
    write_run(folder, "high", 0.95, 0.9, 0.2);
    write_report(folder.file("high"));
    const std::string run = testing::read_all(folder.file("high/report.html"));
    const std::string page = comparison_page(compare(folder, {"high"}));
    for (const std::string& html : {run, page}) {
        EXPECT_NE(html.find("Of 1 right against tokens"), std::string::npos);
        EXPECT_NE(html.find("Training loss"), std::string::npos);
        EXPECT_EQ(html.find("its per byte"), std::string::npos);
    }
}

TEST(Scores, OfTwoKindsAreNotRankedTogether) {
    TemporaryFolder folder;
    write_run(folder, "a", 0.95, 0.9, 0.2);
    write_run(folder, "b", 1.5, 1.4, 0.1, R"("name":"bits_per_byte","unit":"bits per byte","less_is_better":true)");
    const Comparison comparison = compare(folder, {"a", "b"});
    EXPECT_EQ(comparison.rankings.size(), 2u);
    const std::string text = comparison_text(comparison);
    EXPECT_NE(
        text.find("b is scored in bits per byte (bits_per_byte, less is better), a in of 1 right (accuracy, more"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("0.9000 of 1 right"), std::string::npos) << text;
}

}  // namespace
}  // namespace lithe
