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
    BranchOutput branch(const MadeBlock& made, const Tensor& x, const State& state, const Pass& pass) const {
        return testing::branch_of(kind(), *made.block, x, state, pass);
    }
    // `carried`: keys and values of another sequence stand in the state.
    CostShape shape(CostShape of, bool carried) const {
        if (kind().traits.reads.empty()) return of;
        of.source = 5;
        of.source_kept = carried;
        return of;
    }
    static ModelConfig model(bool causal) {
        ModelConfig model;
        model.width = D;
        model.memory = M;
        model.direction = causal ? Direction::causal : Direction::bidirectional;
        return model;
    }
};

// One token with a full memory: no score is computed only to be masked, so the count is exact.
TEST_P(Flops, DeclaredEqualCountedWithMemory) {
    if (!kind().traits.causal) GTEST_SKIP() << "the kind is not causal";
    MadeBlock made(kind(), model(true), variant().values);
    Pass pass;
    pass.memory = M;
    State state = branch(made, wave({M, B, D}, 0.53, 0.7, 1.3), {}, pass).state;
    const Tensor x = wave({1, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { branch(made, x, state, pass); });
    EXPECT_DOUBLE_EQ(flops,
                     double(B) * made.block->flops_per_token(shape({.length = 1, .memory = M, .batch = B}, true)));
}

// A causal segment: the fused attention skips what the mask hides.
TEST_P(Flops, DeclaredEqualCountedOverACausalSegment) {
    if (!kind().traits.causal) GTEST_SKIP() << "the kind is not causal";
    MadeBlock made(kind(), model(true), variant().values);
    Pass pass;
    pass.memory = M;
    State state = branch(made, wave({M, B, D}, 0.53, 0.7, 1.3), {}, pass).state;
    const int64_t T = 13;
    const Tensor x = wave({T, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { branch(made, x, state, pass); });
    EXPECT_NEAR(flops, double(T * B) * made.block->flops_per_token(shape({.length = T, .memory = M, .batch = B}, true)),
                1e-6 * flops);
}

TEST_P(Flops, DeclaredEqualCountedOverAWholeSegment) {
    if (testing::looks_back_alone(variant())) GTEST_SKIP() << "the kind does not see both sides";
    MadeBlock made(kind(), model(false), variant().values);
    Pass pass;
    pass.causal = false;
    const int64_t T = 11;
    const Tensor x = wave({T, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { branch(made, x, {}, pass); });
    EXPECT_DOUBLE_EQ(
        flops, double(T * B) * made.block->flops_per_token(shape({.length = T, .batch = B, .causal = false}, false)));
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Flops, ::testing::Range(0, int(block_variants().size())),
                         [](const auto& which) { return block_variants()[size_t(which.param)].name; });

}  // namespace
}  // namespace lithe
