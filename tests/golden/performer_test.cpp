// Performer's attention against its formula; tests/golden/make_performer.py prints the numbers.
#include "lithe/blocks/performer.h"

#include "lithe/base/position_flags.h"
#include "support/golden_head.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_numbers;
using testing::GoldenHead;
using testing::MadeBlock;
using testing::Numbers;

constexpr int64_t N = GoldenHead::kSteps, kSize = GoldenHead::kSize;

std::unique_ptr<MadeBlock> make(const GoldenHead::Options& options, bool causal, int64_t width = kSize) {
    ModelConfig model;
    model.width = width;
    model.direction = causal ? Direction::causal : Direction::bidirectional;
    std::vector<RawValue> values;
    for (const auto& [key, text] : options) values.push_back({key, text, "test"});
    return std::make_unique<MadeBlock>(*find_block_kind("performer"), model, values);
}

const PerformerBlock& performer(const MadeBlock& made) { return dynamic_cast<const PerformerBlock&>(*made.block); }

Tensor golden_directions() {
    const Tensor r = at::arange(8, at::kDouble).unsqueeze(1), j = at::arange(kSize, at::kDouble).unsqueeze(0);
    return at::sin(1.7 * r + 0.9 * j + 0.4) * 1.5;
}

// One head of queries, keys and values [16][1][12].
Tensor run(const GoldenHead::Options& options, bool causal, const Tensor& qkv = GoldenHead::input(),
           const Tensor& directions = golden_directions()) {
    const auto made = make(options, causal);
    State after;
    return performer(*made).mixed(qkv, directions, {}, GoldenHead::pass(causal), after).squeeze(1);
}

TEST(Performer, IsTheFormula) {
    const GoldenHead::Options softmax = {{"features", "8"}}, relu = {{"features", "8"}, {"kernel", "\"relu\""}},
                              alone = {{"features", "0"}, {"kernel", "\"relu\""}},
                              shifted = {{"features", "8"}, {"epsilon", "1e-4"}};
    const Numbers both = {.1436788723, .0279801311, .0266335505, .8676370152, 5.0080318023},
                  causal = {.2955202067, -.1064080963, .0266335505, -5.1952356591, 12.6999279518};
    expect_numbers(run(softmax, false), both);
    expect_numbers(run(softmax, true), causal);
    expect_numbers(run(softmax, false, GoldenHead::input().to(at::kFloat)), both, at::kFloat);
    expect_numbers(run(softmax, true, GoldenHead::input().to(at::kFloat)), causal, at::kFloat);
    expect_numbers(run(shifted, false), {.1435889184, .0280114960, .0266287079, .8705658346, 5.0029557988});
    expect_numbers(run(alone, false, GoldenHead::input(), {}),
                   {.1294935913, .1097223075, .1000640274, 2.5185762822, 11.1049970938});
    expect_numbers(run(relu, false), {.1916046507, .0177883268, .0281492231, .4758939203, 6.2099445194});
    for (const auto& options : {softmax, relu})
        expect_close(run(options, true)[N - 1], run(options, false)[N - 1], 1e-14, "the last position sees all");
}

TEST(Performer, WeightsAddUpToOneAndKnowNoOrder) {
    Tensor ones = GoldenHead::input();
    ones.narrow(2, 2 * kSize, kSize).fill_(1);
    const GoldenHead::Options options = {{"features", "8"}};
    for (const bool causal : {false, true})
        expect_close(run(options, causal, ones), at::ones({N, kSize}, at::kDouble), 1e-14, "weights' sums");
    expect_close(run(options, false, GoldenHead::input().flip(0)).flip(0), run(options, false), 1e-14, "backwards");
}

// Exponents far from 0, which alone leave the range of fp32; a long key comes late, and a document begins behind it.
TEST(Performer, LongKeysStayInRange) {
    Tensor qkv = GoldenHead::input();
    qkv.narrow(2, kSize, kSize).mul_(25);
    qkv[9].narrow(1, kSize, kSize).mul_(2);
    const GoldenHead::Options options = {{"features", "8"}};
    const auto made = make(options, true);
    Pass begins = GoldenHead::pass(true);
    Tensor flags_TB = at::zeros({N, 1}, at::kByte);
    flags_TB[10].fill_(int64_t(kDocumentBegins));
    begins.set_flags(flags_TB);
    for (const Pass& pass : {GoldenHead::pass(true), begins}) {
        // the formula over all pairs, by the logarithms of weights
        const auto exponents = [&](const Tensor& x) {
            const Tensor scaled = x / std::sqrt(2.0);  // 4^(1/4)
            return at::mm(scaled, golden_directions().t()) - (scaled * scaled).sum(1, true) / 2;
        };
        const auto parts = qkv.squeeze(1).split(kSize, 1);
        const Tensor logs = at::logsumexp(exponents(parts[0]).unsqueeze(1) + exponents(parts[1]).unsqueeze(0), {2});
        Tensor sees = at::ones({N, N}, at::kBool).tril();
        if (pass.marks) sees.narrow(0, 10, N - 10).narrow(1, 0, 10).fill_(false);
        const Tensor weights = at::softmax(logs.masked_fill(sees.logical_not(), -INFINITY), 1);
        State after;
        for (const auto type : {at::kDouble, at::kFloat}) {
            const Tensor got = performer(*made).mixed(qkv.to(type), golden_directions(), {}, pass, after);
            expect_close(got.squeeze(1), at::mm(weights, parts[2]), type == at::kDouble ? 1e-10 : 2e-3, "long keys");
        }
    }
}

TEST(Performer, DirectionsAreOrthogonalAndAsLongAsNormalVectors) {
    constexpr int64_t rows = 40, columns = 16;
    const Tensor w = orthogonal_directions(rows, columns, 7);
    EXPECT_TRUE(at::equal(w, orthogonal_directions(rows, columns, 7)));
    EXPECT_FALSE(at::allclose(w, orthogonal_directions(rows, columns, 8)));
    const Tensor products = at::mm(w, w.t());
    for (const int64_t first : {int64_t(0), columns, 2 * columns}) {
        const int64_t count = std::min(columns, rows - first);
        const Tensor block = products.narrow(0, first, count).narrow(1, first, count);
        expect_close(block - at::diag(block.diagonal()), at::zeros({count, count}, at::kDouble), 1e-12, "a block");
    }
    EXPECT_GT(products.narrow(0, 0, columns).narrow(1, columns, columns).abs().max().item<double>(), 0.1);
    // the square of a normal vector's length: mean 16, variance 32
    const Tensor squares = orthogonal_directions(16'000, columns, 3).pow(2).sum(1);
    EXPECT_NEAR(squares.mean().item<double>(), 16, 0.2);
    EXPECT_NEAR(squares.var().item<double>(), 32, 2);
    // exp(x . y) of x = (1, 0, ...) and y = (0.6, 0.8, 0, ...), without bias
    const Tensor many = orthogonal_directions(64'000, columns, 5);
    const Tensor along = many.select(1, 0) * 1.6 + many.select(1, 1) * 0.8;
    EXPECT_NEAR((along - 1).exp().mean().item<double>(), std::exp(0.6), 0.04);
}

// The estimate of full attention: its error falls with the root of the number of features.
TEST(Performer, EstimatesFullAttention) {
    constexpr int64_t n = 64, d = 16;
    const Tensor qkv = at::cat({orthogonal_directions(n, 2 * d, 21) * 0.5, orthogonal_directions(n, d, 22)}, 1);
    const auto parts = qkv.split(d, 1);
    const Tensor full = at::mm(at::softmax(at::mm(parts[0], parts[1].t()) / 4, 1), parts[2]);
    const auto error = [&](const char* features) {
        constexpr int64_t kDraws = 12;
        const auto made = make({{"features", features}}, false, d);
        double sum = 0;
        for (int64_t draw = 0; draw < kDraws; ++draw) {
            State after;
            const Tensor got = performer(*made).mixed(qkv.unsqueeze(1), performer(*made).directions(draw), {},
                                                      GoldenHead::pass(false), after);
            sum += ((got.squeeze(1) - full).norm() / full.norm()).item<double>();
        }
        return sum / kDraws;
    };
    const double few = error("64"), more = error("1024");
    EXPECT_NEAR(std::log(more / few) / std::log(16.0), -0.5, 0.1) << few << " " << more;
    EXPECT_LT(more, 0.12);
}

// By the count of updates, which a run that goes on has; what other directions carried is no use.
TEST(Performer, TrainingDrawsAnewByTheCountOfUpdates) {
    const auto made = make({{"features", "8"}, {"redraw", "10"}}, true, 12);
    const Tensor x = GoldenHead::input();
    Pass pass = GoldenHead::pass(true);
    const auto output = [&](int64_t updates, bool training, const State& state = {}) {
        pass.training = training;
        pass.keys.updates = updates;
        return made->block->branch(x, state, pass);
    };
    const Tensor first = output(0, true).delta_TBD;
    EXPECT_TRUE(at::equal(first, output(9, true).delta_TBD));
    EXPECT_FALSE(at::allclose(first, output(10, true).delta_TBD));
    EXPECT_TRUE(at::equal(output(10, true).delta_TBD, output(19, true).delta_TBD));
    EXPECT_TRUE(at::equal(first, output(25, false).delta_TBD)) << "evaluation has the first draw";
    const State state = output(9, true).state;
    EXPECT_FALSE(at::allclose(output(9, true, state).delta_TBD, first)) << "sums are carried";
    EXPECT_TRUE(at::equal(output(10, true, state).delta_TBD, output(10, true).delta_TBD)) << "to the next draw";
    const auto fixed = make({{"features", "8"}}, true, 12);
    pass.training = true;
    const Tensor always = fixed->block->branch(x, {}, pass).delta_TBD;
    pass.keys.updates = 1'000'000;
    EXPECT_TRUE(at::equal(always, fixed->block->branch(x, {}, pass).delta_TBD));
}

// Features of queries and of keys, and their products with the state: no pairs of positions.
TEST(Performer, CostsFeaturesAndNoPairs) {
    const auto made = make({{"features", "256"}}, false, 64);
    const double per_token = made->block->flops_per_token({.length = 4096, .causal = false});
    EXPECT_EQ(per_token, 8 * 64 * 64 + 2 * 2 * 256 * 64 + 4 * 256 * 65);
    EXPECT_EQ(per_token, made->block->flops_per_token({.length = 64, .causal = false}));
}

TEST(Performer, OptionsThatCannotWorkAreToldInASentence) {
    const auto expect = [](const GoldenHead::Options& options, bool causal, const std::string& words) {
        EXPECT_ERROR(make(options, causal), ErrorKind::usage, words);
    };
    expect({{"features", "0"}}, true, "softmax's kernel needs features, and there are 0");
    expect({{"features", "0"}, {"kernel", "\"relu\""}, {"redraw", "5"}}, true, "there is nothing to draw");
    expect({{"kernel", "\"relu\""}, {"epsilon", "1e-4"}}, false, "epsilon belongs to softmax's features");
    expect({{"epsilon", "1e-4"}}, true, "which a causal model does not know");
    expect({{"heads", "3"}}, true, "is no multiple of heads 3");
}

}  // namespace
}  // namespace lithe
