// Synthesizer's kinds of logits against their formulas; tests/golden/make_synthesizer.py prints the numbers.
#include "support/golden_head.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_numbers;
using testing::GoldenHead;
using testing::MadeBlock;
using testing::Numbers;

constexpr int64_t N = GoldenHead::kSteps, kSize = GoldenHead::kSize, kHeads = GoldenHead::kHeads,
                  kWidth = GoldenHead::kWidth, kHead = 1;  // which one has the input's head

// A row of numbers and a column of them.
Tensor row(int64_t count) { return at::arange(count, at::kDouble).unsqueeze(0); }
Tensor column(int64_t count) { return row(count).t(); }

std::unique_ptr<MadeBlock> make(GoldenHead::Options options, at::ScalarType type = at::kDouble,
                                const char* length = "16") {
    ModelConfig model;
    model.width = kWidth;
    model.direction = Direction::bidirectional;
    std::vector<RawValue> values = {{"heads", "3", "test"}, {"length", length, "test"}};
    for (const auto& [key, text] : options) values.push_back({key, text, "test"});
    auto made = std::make_unique<MadeBlock>(*find_block_kind("synthesizer"), model, values, type);
    Tensor value = at::zeros({kWidth, kWidth}, at::kDouble);
    for (int64_t n = 0; n < kSize; ++n) value[kHead * kSize + n][2 * kSize + n] = 1;
    made->set("value", value);
    made->set("out", at::eye(kWidth, at::kDouble));
    return made;
}

// Rows of one head in a parameter of all heads.
void set_head(const MadeBlock& made, const char* name, const Tensor& of_head) {
    at::NoGradGuard guard;
    made.parameter(name).unflatten(0, {kHeads, -1}).select(0, kHead).copy_(of_head);
}

// Columns of a matrix that reads the input's queries.
Tensor of_queries(const Tensor& w) {
    Tensor all = at::zeros({w.size(1), kWidth}, at::kDouble);
    all.narrow(1, 0, kSize).copy_(w.t());
    return all;
}

void set_random(const MadeBlock& made) {
    set_head(made, "random", at::sin(0.37 * column(N) * row(N) + 0.1 * column(N)));
}

void set_low_rank(const MadeBlock& made) {
    set_head(made, "rows", at::sin(0.2 * column(N) + row(2)));
    set_head(made, "columns", at::cos(0.3 * column(N) - row(2)));
}

void set_dense(const MadeBlock& made) {
    set_head(made, "dense_in", of_queries(at::sin(column(kSize) + 2 * row(kSize) + 0.5)));
    set_head(made, "dense_in_bias", 0.1 * row(kSize).squeeze(0));
    set_head(made, "dense_out", at::cos(0.8 * column(kSize) - 0.3 * row(N)).t());
    set_head(made, "dense_out_bias", 0.01 * row(N).squeeze(0));
}

void set_factors(const MadeBlock& made) {
    at::NoGradGuard guard;
    const Tensor both = made.parameter("factors");  // P of all heads, then S of all heads
    both.narrow(0, kHead * 4, 4).copy_(of_queries(at::sin(column(kSize) + 1.5 * row(4))));
    both.narrow(0, kHeads * 4 + kHead * 4, 4).copy_(of_queries(at::cos(0.7 * column(kSize) + row(4))));
}

Tensor run(const MadeBlock& made, const Tensor& x = GoldenHead::input()) {
    const auto type = made.parameter("out").scalar_type();
    const Tensor out = made.block->branch(x.to(type), {}, GoldenHead::pass(false)).delta_TBD;
    return out.detach().squeeze(1).narrow(1, kHead * kSize, kSize);
}

const GoldenHead::Options kRandom = {{"dense", "false"}, {"random", "true"}},
                          kLowRank = {{"dense", "false"}, {"factorised_random", "true"}, {"rank", "2"}},
                          kDense = {{"bias", "true"}}, kFactors = {{"dense", "false"}, {"factorised_dense", "true"}};

TEST(Synthesizer, IsTheFormula) {
    struct Case {
        const char* name;
        GoldenHead::Options options;
        void (*set)(const MadeBlock& made);
        Numbers expected;
    };
    const Case cases[] = {
        {"G14a", kRandom, set_random, {.0536728881, -.0236160799, .0569715482, 2.0479079632, 4.5629194828}},
        {"G14b", kLowRank, set_low_rank, {.0584953011, .0736167816, .0864499634, 4.6561959002, 4.8304056278}},
        {"G14c", kDense, set_dense, {.0297886743, -.0192344509, -.0639909086, 1.3621397199, 2.5764693179}},
        {"G14d", kFactors, set_factors, {-.0996189220, -.3828783419, -.2804198573, -9.3615072807, 9.4695238712}},
    };
    for (const Case& each : cases)
        for (const auto type : {at::kDouble, at::kFloat}) {
            SCOPED_TRACE(each.name);
            const auto made = make(each.options, type);
            each.set(*made);
            expect_numbers(run(*made), each.expected, type);
        }
}

TEST(Synthesizer, MixesWhatItIsToldTo) {
    const auto made = make({{"bias", "true"},
                            {"random", "true"},
                            {"factorised_dense", "true"},
                            {"factorised_random", "true"},
                            {"rank", "2"},
                            {"attention", "true"}});
    set_dense(*made);
    set_random(*made);
    set_factors(*made);
    set_low_rank(*made);
    Tensor queries_keys = at::zeros({2 * kWidth, kWidth}, at::kDouble);
    for (int64_t part = 0; part < 2; ++part)
        for (int64_t n = 0; n < kSize; ++n) queries_keys[part * kWidth + kHead * kSize + n][part * kSize + n] = 1;
    made->set("query_key", queries_keys);
    made->set("mixture", at::tensor({0.3, -0.2, 0.5, 0.1, -0.4}, at::kDouble));
    expect_numbers(run(*made), {.0275926864, -.1699821065, -.1535609429, -2.9160307889, 5.6281285115});
}

TEST(Synthesizer, Limits) {
    const auto made = make(kRandom);
    const auto parts = GoldenHead::input().squeeze(1).split(kSize, 1);
    set_head(*made, "random", at::mm(parts[0], parts[1].t()) / 2);
    expect_close(run(*made), GoldenHead("attention", {}, false).run(), 1e-12, "full attention");
    Tensor other = GoldenHead::input();
    other.narrow(2, 0, 2 * kSize).mul_(-3);
    expect_close(run(*made, other), run(*made), 0, "whatever queries and keys are");
    set_head(*made, "random", at::zeros({N, N}, at::kDouble));
    expect_close(run(*made), parts[2].mean(0).expand({N, kSize}), 1e-12, "means");
    Tensor ones = GoldenHead::input();
    ones.narrow(2, 2 * kSize, kSize).fill_(1);
    set_random(*made);
    expect_close(run(*made, ones), at::ones({N, kSize}, at::kDouble), 1e-12, "weights' sums");
    // a shorter segment has the first rows and columns
    const auto longer = make(kRandom, at::kDouble, "20");
    Tensor more = at::full({20, 20}, 0.7, at::kDouble);
    more.narrow(0, 0, N).narrow(1, 0, N).copy_(made->parameter("random").unflatten(0, {kHeads, -1})[kHead].detach());
    set_head(*longer, "random", more);
    expect_close(run(*longer), run(*made), 1e-12, "a shorter segment");
}

// Factors reach every position: a token whose rows peak at q and p looks at p a + q.
TEST(Synthesizer, FactorsReachEveryPosition) {
    const auto made = make({{"dense", "false"}, {"factorised_dense", "true"}, {"factor", "8"}, {"bias", "true"}});
    made->set("factors", at::zeros({kHeads * (8 + 2), kWidth}, at::kDouble));
    for (int64_t position = 0; position < N; ++position) {
        Tensor peaks = at::zeros({kHeads * (8 + 2)}, at::kDouble);
        peaks[kHead * 8 + position % 8] = 10;
        peaks[kHeads * 8 + kHead * 2 + position / 8] = 10;
        made->set("factors_bias", peaks);
        const Tensor seen = GoldenHead::input().squeeze(1).narrow(1, 2 * kSize, kSize)[position];
        expect_close(run(*made), seen.expand({N, kSize}), 1e-12, "position " + std::to_string(position));
    }
}

TEST(Synthesizer, OptionsThatCannotWorkAreToldInASentence) {
    EXPECT_ERROR(make({{"dense", "false"}}), ErrorKind::usage, "are all false, and one has to make logits");
    EXPECT_ERROR(make({{"factorised_dense", "true"}, {"factor", "5"}}), ErrorKind::usage,
                 "factor 5 does not divide length 16");
    EXPECT_ERROR(run(*make(kRandom, at::kDouble, "15")), ErrorKind::usage,
                 "segments of at most 15 positions, and this one has 16");
}

}  // namespace
}  // namespace lithe
