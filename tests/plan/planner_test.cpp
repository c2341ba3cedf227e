#include "lithe/plan/planner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/formats/csv.h"
#include "lithe/formats/packed.h"
#include "lithe/model/language_model.h"
#include "lithe/plan/fitted.h"
#include "lithe/plan/promise.h"
#include "lithe/spec/config_io.h"
#include "support/files.h"

namespace lithe {
namespace {

using testing::sample_text;
using testing::TemporaryFolder;

CorpusLook books() {
    return {.bytes = 90'000'000, .tokens = 90'000'000, .vocabulary = 256, .is_bytes = true, .packed_bits = 2.0};
}

PlanRequest request_for(const std::string& path, std::vector<std::string> more = {}) {
    more.push_back("data.path=");
    more.back() += path;
    return {.seconds = 5, .settings = std::move(more)};
}

std::optional<ErrorKind> kind_of(const PlanRequest& request) {
    try {
        make_plan(request);
        return std::nullopt;
    } catch (const Error& error) { return error.kind(); }
}

TEST(PackedSize, FollowsWhatIsInTheText) {
    const std::string zeros(100'000, 'a');
    std::string noise;
    for (uint32_t i = 0, x = 1; i < 100'000; ++i) {
        x = x * 1664525u + 1013904223u;
        noise += char(x >> 24);
    }
    EXPECT_LT(packed_size(zeros), 400u);
    EXPECT_GT(packed_size(noise), 99'000u);
    EXPECT_LT(packed_size(noise), 103'000u);
    EXPECT_LT(packed_size(""), 200u);
}

TEST(Prediction, MoreTokensAreBetterAndRepeatedOnesWorthLess) {
    const PlanShape shape{384, 4, kMostNgramRows};
    EXPECT_LT(predict(shape, 8e6, books()).bits, predict(shape, 1e6, books()).bits);
    CorpusLook small = books();
    small.tokens = 1'000'000;
    EXPECT_GT(predict(shape, 8e6, small).bits, predict(shape, 8e6, books()).bits);
}

TEST(Prediction, ShortTextsAreReadUntilTheyAreLearnedByHeart) {
    const PlanShape shape{640, 6, 131072};
    CorpusLook small = books();
    small.tokens = 1'000'000;
    const double best = worthwhile_tokens(shape, 100e6, small);
    EXPECT_GE(best, 1e6);
    EXPECT_LT(best, 20e6);
    EXPECT_LE(predict(shape, best, small).bits, predict(shape, 0.8 * best, small).bits);
    EXPECT_LE(predict(shape, best, small).bits, predict(shape, 1.25 * best, small).bits);
    EXPECT_EQ(worthwhile_tokens(shape, 1.02 * best, small), 1.02 * best);  // a few percent are not cut off
    EXPECT_EQ(worthwhile_tokens(shape, 0.5e6, small), 0.5e6);
    EXPECT_EQ(worthwhile_tokens(shape, 80e6, books()), 80e6);
}

TEST(Prediction, LargerModelsNeedMoreTokensAndHarderTextsMoreBits) {
    const PlanShape small{256, 3, kMostNgramRows}, large{768, 7, kMostNgramRows};
    EXPECT_LT(predict(large, 50e6, books()).bits, predict(small, 50e6, books()).bits);
    CorpusLook hard = books();
    hard.packed_bits = 3;
    const Prediction easy = predict(small, 1e6, books());
    EXPECT_GT(predict(small, 1e6, hard).bits, easy.bits);
    EXPECT_LT(easy.low, easy.bits);
    EXPECT_GT(easy.high, easy.bits);
    EXPECT_GT(predict({256, 3, 8192}, 1e6, books()).bits, easy.bits);
}

// PPMd learns from what it has read: of a megabyte it makes more bits per byte than of four of the same kind.
TEST(Prediction, ASmallSampleIsNotAHarderText) {
    const PlanShape shape{384, 4, 131072};
    CorpusLook quarter{.tokens = 1 << 20, .packed_bits = 2.0 * 1.054},
        half{.tokens = 2 << 20, .packed_bits = 2.0 * 1.027};
    EXPECT_NEAR(predict(shape, 1e6, quarter).bits, predict(shape, 1e6, half).bits, 2e-3);
    quarter.packed_bits = half.packed_bits;
    EXPECT_LT(predict(shape, 1e6, quarter).bits, predict(shape, 1e6, half).bits - 0.02);
}

TEST(Prediction, ShortTextsNeedLargerModels) {
    const PlanShape small{192, 2, 131072}, large{384, 4, 131072};
    CorpusLook text = books();
    const double gain = predict(small, 1e6, text).bits - predict(large, 1e6, text).bits;
    text.tokens = 1'000'000;
    EXPECT_GT(predict(small, 1e6, text).bits - predict(large, 1e6, text).bits, 1.5 * gain);
    // and what is learned by heart is more, the larger the model is
    auto lost = [&](const PlanShape& shape) { return predict(shape, 9e6, text).bits / predict(shape, 1e6, text).bits; };
    EXPECT_GT(lost(large), 1.001 * lost(small));
}

// 5 MB of Python read 0.8, 1.4 and 2.8 times: 1.519, 1.721 and 2.189 bits (python-*-n20-wsd of bench/runs/planner.tsv).
TEST(Prediction, LongNgramsMakeReadingAgainDear) {
    const PlanShape shape{192, 2, 131072};
    const CorpusLook python{.tokens = 4'982'399, .packed_bits = 1.459};
    EXPECT_GT(predict(shape, 7e6, python).bits, 1.1 * predict(shape, 5e6, python).bits);
    EXPECT_LT(worthwhile_tokens(shape, 100e6, python), 1.01 * 4'982'399);
}

// Lines of a table of bench/runs, each by the names of its columns.
std::vector<std::map<std::string, std::string>> recorded_runs(const std::string& table) {
    const std::string path = LITHE_SOURCE_FOLDER "/bench/runs/" + table + ".tsv";
    std::vector<std::string> header;
    std::vector<std::map<std::string, std::string>> runs;
    CsvParser parser('\t', path, [&](std::vector<std::string>& fields) {
        if (header.empty()) return void(header = fields);
        ASSERT_EQ(fields.size(), header.size()) << path;
        auto& run = runs.emplace_back();
        for (size_t i = 0; i < header.size(); ++i) run[header[i]] = fields[i];
    });
    parser.feed(read_file(path));
    parser.finish();
    return runs;
}

// The table is fitted to other runs than these, which the planner chose itself (docs/lab/planner.md). Every recorded
// run is looked at, but for those that are named.
void expect_held(const std::string& table, int all_runs, double most_error, std::set<std::string> left_out = {}) {
    const std::map<std::string, CorpusLook> texts = {{"books8", {.tokens = 90'000'000, .packed_bits = 1.9454}},
                                                     {"headers", {.tokens = 13'760'809, .packed_bits = 1.0991}},
                                                     {"python", {.tokens = 4'982'399, .packed_bits = 1.4590}},
                                                     {"shakespeare", {.tokens = 1'003'854, .packed_bits = 2.0979}}};
    int runs = 0;
    double squares = 0;
    for (const auto& run : recorded_runs(table)) {
        auto number = [&](const char* column) { return std::stod(run.at(column)); };
        const PlanShape shape{int64_t(number("width")), int64_t(number("layers")), int64_t(number("ngram_rows"))};
        const CorpusLook& text = texts.at(run.at("data"));
        if (left_out.erase(run.at("name"))) continue;
        const double bits = number("first_bits");
        const Prediction expected = predict(shape, number("tokens"), text);
        EXPECT_GT(bits, expected.low) << run.at("name");
        EXPECT_LT(bits, expected.high) << run.at("name");
        squares += std::pow(std::log(bits / expected.bits), 2);
        ++runs;
    }
    EXPECT_EQ(runs, all_runs);
    EXPECT_TRUE(left_out.empty()) << *left_out.begin() << " is no recorded run";
    EXPECT_LT(std::sqrt(squares / runs), most_error);
}
// Headers were planned with the former recipe, n-grams to 6: of marked-up text they tell less at first and lose less
// when it is read again, so that 1.13, 1.33 and 1.33 bits would be expected where it reached 1.28, 1.16 and 1.10.
TEST(Prediction, HoldsForPlannedRuns) {
    expect_held("planned", 7, 0.045,
                {"planned-headers-1m-seed1", "planned-headers-3m-seed1", "planned-headers-10m-seed1"});
}
TEST(Prediction, HoldsForPlannedRunsOfASlowMachine) { expect_held("planned-avx2", 13, 0.045); }

TEST(PlanShapes, AllAreValidConfigurations) {
    for (PlanShape shape : plan_shapes()) {
        for (const int64_t rows : plan_rows()) {
            shape.ngram_rows = rows;
            shape.batch = 32;
            const Config config = planned_config(shape_settings(shape));
            Problems problems;
            check_model(config, problems);
            EXPECT_TRUE(problems.empty()) << shape.name() << ": " << (problems.empty() ? "" : problems.lines()[0]);
            EXPECT_EQ(config.model.width, shape.width);
            EXPECT_EQ(config.model.ngrams.rows, shape.ngram_rows);
            EXPECT_EQ(config.train.batch, 32);
        }
    }
}

TEST(Prediction, LongTrainingsGetLargeBatchesAndTables) {
    EXPECT_EQ(planned_batch(1e6), planned_config({}).train.batch);
    EXPECT_EQ(planned_rows(1e6), planned_config({}).model.ngrams.rows);
    EXPECT_EQ(planned_config({}).data.order, TextOrder::chunks);
    EXPECT_TRUE(text_settings(kShortText).empty());
    EXPECT_GT(planned_batch(100e6), planned_batch(10e6));
    EXPECT_GT(planned_rows(100e6), planned_rows(10e6));
}

// The table that predictions come from was measured with this recipe: bench/planner.toml names it.
TEST(PlanShapes, StartFromTheShippedRecipe) {
    const Config config = planned_config({}), shipped = load_config(LITHE_SOURCE_FOLDER "/configs/bytes-srupp.toml");
    EXPECT_TRUE(differences(config, shipped).empty());
}

TEST(Planner, MeasuresWhatItChoosesAndSettingsWin) {
    TemporaryFolder folder;
    const std::string path = folder.write("text.txt", sample_text(200'000));
    const Plan plan = make_plan(request_for(path, {"data.split=80/10/10", "train.seed=7"}));
    EXPECT_EQ(plan.chosen.visits, 2);
    EXPECT_GT(plan.chosen.tokens_per_second, 100);
    for (const PlanCandidate& each : plan.considered) EXPECT_GE(each.expected.bits, plan.chosen.expected.bits);
    EXPECT_EQ(plan.config.data.split, "80/10/10");
    EXPECT_EQ(plan.config.train.seed, 7);
    EXPECT_EQ(plan.config.train.max_seconds, 5);
    EXPECT_LE(plan.chosen.seconds, 5);
    EXPECT_EQ(plan.config.origins.at("model.width"), "the plan");
    EXPECT_EQ(plan.config.origins.at("train.seed"), "a given setting");
    EXPECT_EQ(plan.corpus.bytes, 160'000u);
    EXPECT_NEAR(plan.tokens, plan.chosen.tokens_per_second * plan.chosen.seconds, 1);
    // what is written down is the same plan
    EXPECT_TRUE(differences(plan.config, parse_config(to_toml(plan.config), "plan.toml")).empty());
}

TEST(Planner, StopsBeforeAShortTextIsLearnedByHeart) {
    TemporaryFolder folder;
    const std::string path = folder.write("text.txt", sample_text(2000));
    auto request_long = [&](const char* set) {
        PlanRequest request = request_for(path, {set});
        request.seconds = 3000;  // much, also for a busy machine
        return request;
    };
    const PlanRequest request = request_long("train.seed=2"), stated = request_long("train.max_seconds=3000");
    const Plan plan = make_plan(request);
    EXPECT_LT(plan.chosen.seconds, 3000);
    // tokens end it, so that another speed than was measured changes nothing; the rate follows what ends first
    EXPECT_NEAR(double(plan.config.train.max_tokens), plan.tokens, 1);
    EXPECT_EQ(plan.config.train.max_seconds, 3000);
    EXPECT_EQ(plan.config.schedule.axis, ScheduleAxis::automatic);
    EXPECT_NE(plan_text(plan, request).find("more makes it worse"), std::string::npos) << plan_text(plan, request);
    const Plan whole = make_plan(stated);
    EXPECT_EQ(whole.config.train.max_seconds, 3000);
    EXPECT_EQ(whole.config.train.max_tokens, 0);
    EXPECT_EQ(whole.chosen.seconds, 3000);
    EXPECT_EQ(plan_text(whole, stated).find("more makes it worse"), std::string::npos) << plan_text(whole, stated);
    // of what --set alters the table knows nothing
    EXPECT_EQ(make_plan(request_long("model.dropout=0.3")).config.train.max_tokens, 0);
}

TEST(Planner, LimitsAreKept) {
    TemporaryFolder folder;
    const std::string path = folder.write("text.txt", sample_text(200'000));
    PlanRequest request = request_for(path);
    request.memory = 300e6;
    const Plan plan = make_plan(request);
    EXPECT_LE(plan.chosen.memory, 300e6);
    EXPECT_LT(plan.chosen.shape.ngram_rows, planned_rows(1e6));
    request.memory = 50e6;
    EXPECT_EQ(kind_of(request), ErrorKind::resources);
    request.memory = 300e6;
    request.latency = 1e-9;
    EXPECT_EQ(kind_of(request), ErrorKind::usage);
    request.latency = 0;
    request.seconds = 0;
    EXPECT_EQ(kind_of(request), ErrorKind::usage);
    EXPECT_EQ(kind_of(request_for(folder.file("nothing.txt"))), ErrorKind::bad_file);
}

TEST(Planner, ShortTextsGetFewRows) {
    TemporaryFolder folder;
    const Plan plan = make_plan(request_for(folder.write("text.txt", sample_text(2000))));
    EXPECT_LE(plan.config.train.batch * (plan.config.train.length + 1), 1800);
    EXPECT_GE(plan.config.train.length, 8);
    EXPECT_EQ(plan.config.model.ngrams.lengths, "2-3");
    EXPECT_EQ(plan.config.schedule.name, ScheduleKind::cosine);
    EXPECT_FALSE(plan.altered);
    const Plan own = make_plan(request_for(folder.file("text.txt"), {"train.batch=12"}));
    EXPECT_EQ(own.config.train.batch, 12);
    EXPECT_EQ(own.chosen.shape.batch, 12);  // what plan.json says
}

TEST(Planner, OtherTokensArePlannedWithoutAPromise) {
    TemporaryFolder folder;
    const std::string path = folder.write("text.txt", sample_text(100'000));
    EXPECT_TRUE(make_plan(request_for(path, {"optimizer.weight_decay=0"})).altered);
    const PlanRequest request = request_for(path, {"data.tokenizer=words", "data.split=80/10/10"});
    const Plan plan = make_plan(request);
    EXPECT_FALSE(plan.corpus.is_bytes);
    EXPECT_FALSE(plan_json(plan, request).contains("expected"));
    EXPECT_NE(plan_text(plan, request).find("not known"), std::string::npos);
}

TEST(Promise, IsReadFromThePlanAndNamesItsBytes) {
    TemporaryFolder folder;
    const PlanRequest request = request_for(folder.write("text.txt", sample_text(200'000)));
    const Plan plan = make_plan(request);
    const auto promise = promise_of(nlohmann::json::parse(plan_json(plan, request).dump()));
    ASSERT_TRUE(promise);
    EXPECT_EQ(promise->expected.bits, plan.chosen.expected.bits);
    EXPECT_EQ(promise->first_bytes, 10'000u);  // all of validation, which is less than what is asked for
    EXPECT_EQ(scored_bytes(plan), 10'000u);
    for (const char* text : {"null", "{}", R"({"expected":3})", R"({"expected":{"bits_per_byte":1},"chosen":{}})"})
        EXPECT_FALSE(promise_of(nlohmann::json::parse(text))) << text;
    const PlanRequest alone = request_for(folder.file("text.txt"), {"data.split=100/0/0"});
    const Plan without = make_plan(alone);
    EXPECT_FALSE(plan_json(without, alone).contains("expected"));
    EXPECT_NE(plan_text(without, alone).find("no validation split"), std::string::npos);
}

// What the model makes of the text itself counts, however far it is from what PPMd promised.
TEST(Promise, AnEvaluationOnTheWayCorrectsIt) {
    const PlanShape shape{256, 3, kMostNgramRows};
    const Promise promise{shape, books(), 8e6, predict(shape, 8e6, books()), 500'000};
    const double there = predict(shape, 2e6, books()).bits;
    const Prediction early = corrected(promise, 2e6, 8e6, there), other = corrected(promise, 2e6, 8e6, there / 3);
    EXPECT_NEAR(early.bits, promise.expected.bits, 0.02);
    EXPECT_NEAR(other.bits, early.bits / 3, 1e-9);
    EXPECT_LT(other.high, promise.expected.low);
    const Prediction late = corrected(promise, 7e6, 8e6, there), end = corrected(promise, 8e6, 8e6, there);
    EXPECT_LT(late.high / late.low, early.high / early.low);
    EXPECT_NEAR(end.bits, there, 1e-12);
    EXPECT_EQ(end.low, end.high);
}

}  // namespace
}  // namespace lithe
