// The FLOPs that a kind declares are the ones its products perform, counted while it runs.
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include "lithe/blocks/block.h"
#include "support/block_maker.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::MadeBlock;
using testing::wave;

constexpr int64_t B = 3, D = 8, M = 7;

double counted = 0;

// A product of (.. m, k) by (.. k, n): 2 m k n per matrix of the batch.
double product_flops(const c10::IValue& left, const c10::IValue& right) {
    return 2.0 * double(left.toTensor().numel()) * double(right.toTensor().size(-1));
}

std::unique_ptr<at::ObserverContext> count_product(const at::RecordFunction& call) {
    const std::string name = call.name();
    const auto inputs = call.inputs();
    if (name == "aten::mm" || name == "aten::bmm") counted += product_flops(inputs[0], inputs[1]);
    if (name == "aten::addmm" || name == "aten::baddbmm") counted += product_flops(inputs[1], inputs[2]);
    return nullptr;
}

double count_flops(const std::function<void()>& body) {
    counted = 0;
    const auto handle = at::addThreadLocalCallback(
        at::RecordFunctionCallback(count_product).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
    body();
    at::removeCallback(handle);
    return counted;
}

class Flops : public ::testing::TestWithParam<int> {
 protected:
    const BlockKind& kind() const { return block_kinds()[size_t(GetParam())]; }
    static ModelConfig model(bool causal) {
        ModelConfig model;
        model.width = D;
        model.heads = 2;
        model.memory = M;
        model.direction = causal ? "causal" : "bidirectional";
        return model;
    }
};

// One token with a full memory: no score is computed only to be masked, so the count is exact.
TEST_P(Flops, DeclaredEqualCountedWithMemory) {
    MadeBlock made(kind(), model(true));
    Context context;
    context.memory = M;
    State state = made.block->branch(wave({M, B, D}, 0.53, 0.7, 1.3), {}, context).state;
    const Tensor x = wave({1, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { made.block->branch(x, state, context); });
    EXPECT_DOUBLE_EQ(flops, double(B) * made.block->flops_per_token({.length = 1, .memory = M}));
}

TEST_P(Flops, DeclaredEqualCountedOverAWholeSegment) {
    if (!kind().traits.bidirectional) GTEST_SKIP();
    MadeBlock made(kind(), model(false));
    Context context;
    context.causal = false;
    const int64_t T = 11;
    const Tensor x = wave({T, B, D}, 0.3, 0.1, 1.0);
    const double flops = count_flops([&] { made.block->branch(x, {}, context); });
    EXPECT_DOUBLE_EQ(flops, double(T * B) * made.block->flops_per_token({.length = T, .causal = false}));
}

INSTANTIATE_TEST_SUITE_P(AllKinds, Flops, ::testing::Range(0, int(block_kinds().size())),
                         [](const auto& which) { return std::string(block_kinds()[size_t(which.param)].name); });

}  // namespace
}  // namespace lithe
