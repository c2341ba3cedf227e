// Span corruption: T5's counts and how it cuts, what rows become, and a training on it.
#include "lithe/objectives/spans.h"

#include <map>
#include <numeric>

#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"

namespace lithe {
namespace {

const std::string kModel =
    "[model]\nwidth = 16\nheads = 2\nlayout = \"scf\"\n[model.encoder]\nlayout = \"sf\"\n"
    "[objective]\nname = \"spans\"\n";

std::unique_ptr<Objective> objective_of(const std::string& more = "", const std::vector<std::string>& sets = {}) {
    return make_objective(parse_config(kModel + more, "test", sets), tokenize::ByteTokenizer());
}

// source: T5's random_spans_helper; training_techniques of Raffel et al. 2020, 512 inputs and 114 targets.
TEST(Spans, LengthsAreT5s) {
    const SpanCorruption t5;
    for (const auto& [input, tokens, target] :
         {std::array<int64_t, 3>{512, 568, 114}, {128, 141, 29}, {256, 284, 58}, {1024, 1137, 229}}) {
        EXPECT_EQ(t5.tokens_for(input), tokens);
        EXPECT_LE(t5.sizes(tokens).input(), input);
        EXPECT_EQ(t5.sizes(tokens).target(), target);
    }
    EXPECT_EQ(t5.sizes(568).noise, 85);
    EXPECT_EQ(t5.sizes(568).spans, 28);
    EXPECT_EQ(t5.sizes(568).input(), 512);
    EXPECT_EQ(t5.sizes(30).noise, 4) << "4.5 is rounded to an even number";
    const SpanCorruption most{.rate = 0.9, .mean_length = 1};
    for (int64_t tokens = 2; tokens < 40; ++tokens) {
        const SpanCorruption::Sizes sizes = most.sizes(tokens);
        EXPECT_LE(sizes.spans, sizes.tokens - sizes.noise) << "each span stands behind a kept part";
    }
}

TEST(Spans, EveryWayToCutIsEquallyLikely) {
    std::map<std::vector<int64_t>, int> counts;
    constexpr int kDraws = 60'000;
    for (uint64_t key = 0; key < kDraws; ++key) ++counts[random_composition(6, 3, key)];
    EXPECT_EQ(counts.size(), 10u);  // 5 places, 2 cuts
    for (const auto& [composition, count] : counts) {
        EXPECT_EQ(std::accumulate(composition.begin(), composition.end(), int64_t(0)), 6);
        EXPECT_NEAR(double(count) / kDraws, 0.1, 0.005);  // four standard errors
    }
    EXPECT_EQ(random_composition(4, 1, 3), std::vector<int64_t>{4});
    EXPECT_EQ(random_composition(3, 3, 3), (std::vector<int64_t>{1, 1, 1}));
}

// Puts the spans of a target back where their sentinels stand.
std::vector<int64_t> restored(const SpanCorruption::Pair& pair, int64_t first_sentinel) {
    std::map<int64_t, std::vector<int64_t>> spans;
    int64_t current = 0;
    for (size_t i = 0; i + 1 < pair.target.size(); ++i) {
        const int64_t id = pair.target[i];
        if (id > 1000) current = id;
        else spans[current].push_back(id);
    }
    std::vector<int64_t> text;
    int64_t next = first_sentinel;
    for (size_t i = 0; i + 1 < pair.input.size(); ++i) {
        const int64_t id = pair.input[i];
        if (id <= 1000) {
            text.push_back(id);
            continue;
        }
        EXPECT_EQ(id, next--) << "sentinels fall";
        EXPECT_FALSE(spans[id].empty());
        text.insert(text.end(), spans[id].begin(), spans[id].end());
    }
    return text;
}

TEST(Spans, InputAndTargetTogetherAreTheText) {
    const SpanCorruption corruption{.end = 900, .first_sentinel = 2000};
    for (const int64_t tokens : {2, 3, 7, 20, 141}) {
        std::vector<int64_t> text(static_cast<size_t>(tokens));
        std::iota(text.begin(), text.end(), 1);
        const SpanCorruption::Sizes sizes = corruption.sizes(tokens);
        for (uint64_t key = 0; key < 50; ++key) {
            const auto pair = corruption.apply(text, key);
            EXPECT_EQ(int64_t(pair.input.size()), sizes.input());
            EXPECT_EQ(int64_t(pair.target.size()), sizes.target());
            EXPECT_EQ(int64_t(pair.input.size() + pair.target.size()), tokens + 2 * sizes.spans + 2);
            EXPECT_EQ(pair.input.front(), 1) << "the first token is kept";
            EXPECT_EQ(pair.input[pair.input.size() - 2], 2000 - sizes.spans + 1) << "the last one is not";
            EXPECT_EQ(pair.input.back(), 900);
            EXPECT_EQ(pair.target.back(), 900);
            EXPECT_EQ(restored(pair, 2000), text);
        }
    }
}

Batch some_rows(int64_t length, int64_t rows) {
    Batch batch{.length = length, .rows = rows};
    for (int64_t i = 0; i < length * rows; ++i) batch.inputs.push_back(i * 7 % 251);
    batch.targets = batch.inputs;
    batch.tokens = length * rows;
    return batch;
}

// A row becomes the same wherever it stands in an update's batches.
TEST(Spans, RowsAreDrawnByTheirNumber) {
    const auto objective = objective_of();
    Batch whole = some_rows(40, 3), last{.length = 40, .rows = 1};
    for (int64_t t = 0; t < 40; ++t) last.inputs.push_back(whole.inputs[size_t(t * 3 + 2)]);
    last.targets = last.inputs;
    objective->prepare(whole, 5, 0);
    objective->prepare(last, 5, 2);
    EXPECT_EQ(whole.tokens, 120) << "the text's";
    EXPECT_TRUE(whole.begins);
    ASSERT_EQ(whole.source.length, last.source.length);
    for (int64_t t = 0; t < last.length; ++t) {
        EXPECT_EQ(whole.inputs[size_t(t * 3 + 2)], last.inputs[size_t(t)]);
        EXPECT_EQ(whole.targets[size_t(t * 3 + 2)], last.targets[size_t(t)]);
    }
    for (int64_t t = 0; t < last.source.length; ++t)
        EXPECT_EQ(whole.source.ids[size_t(t * 3 + 2)], last.source.ids[size_t(t)]);
}

TEST(Spans, APaddedRowIsShorterAndAnEmptyOneIsNothing) {
    const auto objective = objective_of();
    Batch batch = some_rows(20, 3);
    batch.flags.assign(60, 0);
    for (int64_t t = 0; t < 20; ++t) {
        if (t >= 10) batch.flags[size_t(t * 3 + 1)] = kPadding;
        if (t >= 1) batch.flags[size_t(t * 3 + 2)] = kPadding;
    }
    objective->prepare(batch, 5, 0);
    const SpanCorruption t5;
    std::array<int64_t, 3> scored{}, read{};
    for (int64_t place = 0; place < batch.length * batch.rows; ++place)
        scored[size_t(place % 3)] += batch.targets[size_t(place)] >= 0;
    for (int64_t place = 0; place < batch.source.length * batch.rows; ++place)
        read[size_t(place % 3)] += !(batch.source.flags[size_t(place)] & kPadding);
    EXPECT_EQ(scored, (std::array<int64_t, 3>{t5.sizes(20).target(), t5.sizes(10).target(), 0}));
    EXPECT_EQ(read, (std::array<int64_t, 3>{t5.sizes(20).input(), t5.sizes(10).input(), 0}));
    Batch none = some_rows(4, 1);
    none.flags.assign(4, kPadding);
    objective->prepare(none, 5, 0);
    EXPECT_EQ(none.length, 1);
    EXPECT_EQ(objective->weights(none).at(kCrossEntropy), 0);
}

TEST(Spans, AnIdForEachSentinelBehindTheTokenizers) {
    EXPECT_EQ(objective_of()->vocabulary(), 256 + 1 + 100);
    EXPECT_EQ(objective_of("sentinels = 40\n[train]\nlength = 64\n")->vocabulary(), 256 + 1 + 40);
    Problems problems;
    check_config(parse_config(kModel + "sentinels = 3\n[train]\nlength = 512\n", "test"), problems);
    EXPECT_ERROR(problems.throw_if_any("test"), ErrorKind::usage, "has 28 spans, and there are 3 sentinels");
    Problems alone;
    check_config(parse_config("[objective]\nname = \"spans\"\n", "test"), alone);
    EXPECT_ERROR(alone.throw_if_any("test"), ErrorKind::usage, "a second stack reads what is left");
}

}  // namespace
}  // namespace lithe
