// The FLOPs that a kind declares are the ones its products perform, counted while it runs.
#include <gtest/gtest.h>

#include <functional>

#include "lithe/blocks/block.h"
#include "lithe/ops/profile.h"
#include "support/block_variants.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::block_variants;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t B = 3, D = 8, M = 7;

double count_flops(const std::function<void()>& body) {
    ops::Profiler profiler;
    body();
    double flops = 0;
    for (const ops::ProfileRow& row : profiler.rows()) flops += row.flops;
    return flops;
}

class Flops : public ::testing::TestWithParam<int> {
 protected:
    const testing::BlockVariant& variant() const { return block_variants()[size_t(GetParam())]; }
    const BlockKind& kind() const { return *variant().kind; }
    static ModelConfig model(bool causal) {
        ModelConfig model;
        model.width = D;
        model.memory = M;
        model.direction = causal ? "causal" : "bidirectional";
        return model;
    }
};

// One token with a full memory: no score is computed only to be masked, so the count is exact.
TEST_P(Flops, DeclaredEqualCountedWithMemory) {
    MadeBlock made(kind(), model(true), variant().values);
    Context context;
    context.memory = M;
    State state = made.block->branch(wave({M, B, D}, 0.53, 0.7, 1.3), {}, context).state;
    const Tensor x = wave({1, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { made.block->branch(x, state, context); });
    EXPECT_DOUBLE_EQ(flops, double(B) * made.block->flops_per_token({.length = 1, .memory = M, .batch = B}));
}

// A causal segment: the fused attention skips what the mask hides.
TEST_P(Flops, DeclaredEqualCountedOverACausalSegment) {
    if (!kind().traits.causal) GTEST_SKIP() << "the kind is not causal";
    MadeBlock made(kind(), model(true), variant().values);
    Context context;
    context.memory = M;
    State state = made.block->branch(wave({M, B, D}, 0.53, 0.7, 1.3), {}, context).state;
    const int64_t T = 13;
    const Tensor x = wave({T, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { made.block->branch(x, state, context); });
    EXPECT_NEAR(flops, double(T * B) * made.block->flops_per_token({.length = T, .memory = M, .batch = B}),
                1e-6 * flops);
}

TEST_P(Flops, DeclaredEqualCountedOverAWholeSegment) {
    if (!kind().traits.bidirectional || testing::has_value(variant(), "positions", "\"relative\""))
        GTEST_SKIP() << "the kind does not see both sides";
    MadeBlock made(kind(), model(false), variant().values);
    Context context;
    context.causal = false;
    const int64_t T = 11;
    const Tensor x = wave({T, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { made.block->branch(x, {}, context); });
    EXPECT_DOUBLE_EQ(flops, double(T * B) * made.block->flops_per_token({.length = T, .batch = B, .causal = false}));
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Flops, ::testing::Range(0, int(block_variants().size())),
                         [](const auto& which) { return block_variants()[size_t(which.param)].name; });

}  // namespace
}  // namespace lithe
