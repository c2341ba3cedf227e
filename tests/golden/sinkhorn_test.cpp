// Attention to sorted blocks; tests/golden/make_sinkhorn.py prints the numbers.
#include "lithe/blocks/sinkhorn.h"

#include <gtest/gtest.h>

#include "support/block_maker.h"
#include "support/golden_head.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_numbers;
using testing::expect_values;
using testing::GoldenHead;
using testing::MadeBlock;

constexpr int64_t kSize = GoldenHead::kSize, kBlocks = 4;

Tensor places(int64_t count) { return at::arange(count, at::kDouble).unsqueeze(1); }

Tensor input() { return GoldenHead::input(); }

std::unique_ptr<MadeBlock> make(const char* kind, const GoldenHead::Options& options) {
    return GoldenHead(kind, options, false).made;
}

std::unique_ptr<MadeBlock> make_sinkhorn() { return make("sinkhorn", {{"block", "4"}}); }

Tensor run(const MadeBlock& made, const Tensor& x) {
    Pass pass;
    pass.causal = false;
    return made.block->branch(x, {}, pass).delta_TBD.squeeze(1).narrow(1, 0, kSize);
}

// Of these shares of blocks, [16][4].
Tensor mixed(const Tensor& shares) {
    const auto made = make_sinkhorn();
    const auto parts = input().view({kBlocks, kSize, 1, 1, 3 * kSize}).split(kSize, 4);
    const auto& block = dynamic_cast<const SinkhornBlock&>(*made->block);
    return block.mixed(parts[0], parts[1], parts[2], shares.view({1, 1, kBlocks, kBlocks}), {}).squeeze(1);
}

Tensor waves() { return at::sin(places(kBlocks) + 2 * places(kBlocks).t()); }

TEST(Sinkhorn, TheOperatorIsThePapers) {
    const Tensor shares = sinkhorn(waves(), 8);
    expect_values(
        shares,
        {.1574488953, .5753094805, .1460255104, .1212160167, .3443749245, .2516123851, .1124848562, .2915277963,
         .3352083039, .0932386172, .2018494486, .3697036518, .1629678762, .0798395172, .5396401848, .2175525353},
        1e-9, "shares");
    expect_close(shares.sum(0), at::ones({kBlocks}, at::kDouble), 1e-15, "columns");
    expect_close(shares.sum(1), at::ones({kBlocks}, at::kDouble), 2e-7, "rows");
    // what would overflow as exponentials
    const Tensor order = at::eye(kBlocks, at::kDouble).index_select(0, at::tensor({2, 0, 3, 1}, at::kLong));
    expect_close(sinkhorn(5000 * order, 8), order, 1e-12, "a permutation");
}

TEST(Sinkhorn, IsOneSoftmaxOverSortedAndOwnBlock) {  // G9a
    expect_numbers(mixed(sinkhorn(waves(), 8)), {.2937562313, -.2529595825, .2944515736, .6042477598, 9.8057256208});
}

TEST(Sinkhorn, TheLayerIsTheSources) {
    const auto made = make_sinkhorn();
    expect_numbers(run(*made, input()), {.3110812695, -.4151783797, .3774887170, 1.8118738993, 12.0633767112});
    expect_numbers(run(*made, input().narrow(0, 0, 13)),
                   {.4444501043, -.4542334050, -.1074005527, -2.8517465064, 11.3319505518});
}

// Blocks that stay in place are seen twice, which is as good as once; of one block there is full attention.
TEST(Sinkhorn, ExactLimits) {
    const auto local = make("blockbert", {{"blocks", "4"}, {"shifted", "0"}});
    expect_close(mixed(at::eye(kBlocks, at::kDouble)), run(*local, input()), 1e-12, "in place");
    const auto whole = make("sinkhorn", {{"block", "16"}});
    expect_close(run(*whole, input()), run(*make("attention", {}), input()), 1e-12, "one block");
}

}  // namespace
}  // namespace lithe
