// Attention with learned spans, alone and with persistent vectors; tests/golden/make_adaptive_span.py prints the
// numbers.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "lithe/ops/profile.h"
#include "support/block_maker.h"
#include "support/golden_head.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_numbers;
using testing::GoldenHead;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t N = GoldenHead::kSteps, kSize = GoldenHead::kSize, kWidth = GoldenHead::kWidth;

using Options = GoldenHead::Options;

Tensor places(int64_t count) { return at::arange(count, at::kDouble).unsqueeze(1); }

Tensor input() { return GoldenHead::input(); }

std::unique_ptr<MadeBlock> make(const char* kind, const Options& options) {
    return GoldenHead(kind, options, true).made;
}

void set_persistent(MadeBlock& made) {
    const Tensor r = places(2), j = places(kSize).t();
    const auto first_head = [](const Tensor& x) { return at::cat({x, at::zeros({4, kSize}, at::kDouble)}); };
    made.set("persistent_keys", first_head(at::cos(r + j)) / std::sqrt(double(kSize)));
    made.set("persistent_values", first_head(at::sin(2 * r - j)) / std::sqrt(2.0));
}

Tensor run(const MadeBlock& made, const Tensor& x = input()) {
    return made.block->branch(x, {}, Pass()).delta_TBD.squeeze(1).narrow(1, 0, kSize);
}

// G17 sees its own position and knows none; the released code does neither.
TEST(AdaptiveSpan, IsTheMaskedSoftmax) {
    const Options span = {{"span", "33"}, {"initial", "0.1"}};  // 3.3
    Options golden = span, source = span;
    golden.insert(golden.end(), {{"ramp", "2"}, {"own_position", "true"}});
    source.emplace_back("ramp", "5");
    const auto own = make("adaptive_span", golden);
    own->set("positions_33_4", at::zeros({33, kSize}, at::kDouble));
    expect_numbers(run(*own), {.2955202067, -.2874471344, .3483383582, -7.7310576852, 15.9726647002});
    const auto before = make("adaptive_span", source);
    before->set("positions_33_4", at::sin(0.7 * places(33) + 0.4 * places(kSize).t() + 0.5));
    const Tensor out = run(*before);
    expect_numbers(out, {0.0000000000, -0.4065009137, 0.2913231977, -1.4595353433, 15.7155051003});
    torch::autograd::backward({(out * at::cos(0.3 * (4 * places(N) + places(kSize).t()))).sum()}, {});
    EXPECT_NEAR(33 * -0.6970805214, before->parameter("spans").grad()[0].item<double>(), 1e-7);
}

// G18, and a short span, which the persistent vectors do not have.
TEST(AllAttention, PersistentVectorsShareTheSoftmax) {
    const auto golden = make(
        "all_attention", {{"span", "33"}, {"initial", "1"}, {"ramp", "2"}, {"own_position", "true"}, {"vectors", "2"}});
    set_persistent(*golden);
    golden->set("positions_33_4", at::zeros({33, kSize}, at::kDouble));
    expect_numbers(run(*golden), {.2940298016, -.1446587847, -.0582751830, -5.1697106427, 12.5430350155});
    const auto narrow = make("all_attention", {{"span", "33"}, {"initial", "0.1"}, {"ramp", "5"}, {"vectors", "2"}});
    set_persistent(*narrow);
    narrow->set("positions_33_4", at::sin(0.7 * places(33) + 0.4 * places(kSize).t() + 0.5));
    expect_numbers(run(*narrow), {.2928896607, -.4094328665, .1658504778, -4.4217834476, 15.7764112736});
}

// A span over everything, without positions, is attention.
TEST(AdaptiveSpan, AWideSpanIsFullAttention) {
    for (const char* span : {"16", "40"}) {
        const auto made = make("adaptive_span", {{"span", span}, {"initial", "1"}, {"own_position", "true"}});
        const int64_t rows = std::stoll(span);
        made->set("positions_" + std::string(span) + "_4", at::zeros({rows, kSize}, at::kDouble));
        expect_close(run(*made), run(*make("attention", {})), 1e-12, span);
    }
}

// Weights add up to one, with what is behind the ramp too.
TEST(AdaptiveSpan, WeightsAddUpToOne) {
    Tensor ones = input();
    ones.narrow(2, 2 * kSize, kSize).fill_(1);
    const auto made = make("adaptive_span", {{"span", "33"}, {"initial", "0.1"}, {"ramp", "5"}});
    expect_close(run(*made, ones).narrow(0, 1, N - 1), at::ones({N - 1, kSize}, at::kDouble), 1e-12, "sums");
}

// Of a layer whose widest head sees 100 positions no key behind 128 + 64 is compared, however far a head could see.
TEST(AdaptiveSpan, CostFallsWithTheSpan) {
    ModelConfig model;
    model.width = kWidth;
    const auto flops = [&](const char* initial, int64_t memory) {
        MadeBlock made(*find_block_kind("adaptive_span"), model,
                       {{"span", "2000", "test"}, {"initial", initial, "test"}, {"heads", "3", "test"}}, at::kFloat);
        Pass pass;
        pass.memory = memory;
        const Tensor x = wave({2000, 1, kWidth}, 0.53, 0.7, 1.3, at::kFloat);
        const State state = made.block->branch(x, {}, pass).state;
        ops::Profiler profiler;
        made.block->branch(x, state, pass);
        double sum = 0;
        for (const ops::ProfileRow& row : profiler.rows()) sum += row.flops;
        const CostShape shape{.length = 2000, .memory = memory};
        EXPECT_NEAR(sum, 2000 * made.block->flops_per_token(shape), 1e-6 * sum);
        return sum - 8.0 * kWidth * kWidth * 2000;
    };
    // keys of 192 positions of the memory are projected again, and of 2000
    const double far = flops("1", 2000), near = flops("0.05", 2000);
    EXPECT_NEAR(near, 6.0 * kWidth * 192 * 2000 + 4.0 * kWidth * kWidth * 192, 1);
    EXPECT_NEAR(far, 6.0 * kWidth * 2000 * 2000 + 4.0 * kWidth * kWidth * 2000, 1);
}

// The penalty is what the source adds to its loss; it leads spans to zero and no farther.
TEST(AdaptiveSpan, ThePenaltyEndsAtZero) {
    for (const auto& [share, slope] : {std::pair(0.25, 20.0 / 3), {0.0, 0.0}, {-0.1, 0.0}, {1.2, 20.0 / 3}}) {
        const auto made = make("adaptive_span", {{"span", "40"}, {"penalty", "0.5"}});
        made->set("spans", at::full({3}, share, at::kDouble));
        const Aux aux = made->block->branch(input(), {}, Pass()).aux;
        ASSERT_EQ(aux.losses.size(), 1u);
        EXPECT_NEAR(aux.losses[0].second.item<double>(), 20 * std::clamp(share, 0.0, 1.0), 1e-12);
        torch::autograd::backward({aux.losses[0].second}, {});
        expect_close(made->parameter("spans").grad(), at::full({3}, slope, at::kDouble), 1e-12, "slopes");
    }
    EXPECT_TRUE(make("adaptive_span", {{"penalty", "0"}})->block->branch(input(), {}, Pass()).aux.losses.empty());
}

}  // namespace
}  // namespace lithe
