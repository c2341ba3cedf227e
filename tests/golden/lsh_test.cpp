// Attention by hashes; tests/golden/make_lsh.py prints the numbers.
#include "lithe/blocks/lsh.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "support/block_maker.h"
#include "support/built_stack.h"
#include "support/errors.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::expect_values;
using testing::MadeBlock;
using testing::wave;

constexpr int64_t N = 16, kSize = 4;

Tensor places(int64_t count) { return at::arange(count, at::kDouble).unsqueeze(1); }
Tensor queries() { return at::sin(0.7 * places(N) + 1.3 * places(kSize).t() + 0.1).unsqueeze(1); }
Tensor values() { return at::sin(1.1 * places(N) - 0.6 * places(kSize).t() + 0.3).unsqueeze(1); }
// One round's, [4][2].
Tensor rotation() { return at::sin(2.1 * places(kSize) + 3.7 * places(2).t() + 0.3); }

using Options = std::vector<std::pair<const char*, const char*>>;

std::unique_ptr<MadeBlock> make(const Options& options, int64_t width = kSize) {
    ModelConfig model;
    model.width = width;
    model.direction = Direction::bidirectional;
    std::vector<RawValue> values;
    for (const auto& [key, text] : options) values.push_back({key, text, "test"});
    return std::make_unique<MadeBlock>(*find_block_kind("lsh"), model, values);
}

Tensor run(const Options& options, const Tensor& rotations, bool causal, const Tensor& q, const Tensor& v) {
    const auto made = make(options);
    Pass pass;
    pass.causal = causal;
    return dynamic_cast<const LshBlock&>(*made->block).attended(q, v, rotations, pass).squeeze(1);
}

Tensor run(const Options& options, const Tensor& rotations, bool causal = false) {
    return run(options, rotations, causal, queries(), values());
}

void expect_numbers(const Tensor& out, const std::vector<double>& expected) {
    expect_values(at::stack({out[0][0], out[7][2], out[15][3], out.sum(), out.abs().sum()}), expected, 1e-9, "output");
}

TEST(Lsh, IsTheSourcesAttention) {
    const Tensor one = rotation().unsqueeze(0), two = at::stack({rotation(), at::cos(3 * rotation() + 1)});
    const Options round = {{"rounds", "1"}, {"chunk", "4"}};
    const Options scaled = {{"rounds", "1"}, {"chunk", "4"}, {"scaled", "true"}};
    expect_numbers(run(round, one), {-.0058768748, .3847318593, -.1517145996, 3.7737770123, 11.1665844996});
    expect_numbers(run(round, one, true), {.2955202067, -.2713548215, -.1517145996, 1.3656886686, 28.2588574823});
    expect_numbers(run(scaled, one), {.0699233769, .1782236534, -.0802531785, 3.6915149664, 8.7360172664});
    expect_numbers(run({{"rounds", "2"}, {"chunk", "4"}}, two),
                   {.0603881658, .1676187128, -.2311619300, 4.3266418726, 11.3478066931});
}

// One chunk or two are all positions; of several rounds one chunk is, since the chunk before is another round's.
TEST(Lsh, FewChunksAreFullAttention) {
    for (const char* chunk : {"16", "8", "40"})
        for (const char* rounds : {"1", "3"}) {
            if (std::string(chunk) == "8" && std::string(rounds) == "3") continue;
            SCOPED_TRACE(std::string(chunk) + ", rounds " + rounds);
            const Options options = {{"rounds", rounds}, {"chunk", chunk}};
            const Tensor rotations = wave({std::stoll(rounds), kSize, 1}, 2.1, 0.3, 1.0);
            expect_numbers(run(options, rotations),
                           {-.0096402343, .0622670456, -.0978610448, 2.4587995096, 7.2148690227});
            expect_numbers(run(options, rotations, true),
                           {.2955202067, -.5367994974, -.0978610448, -1.7321027069, 21.1883332663});
        }
}

// With more than 128 buckets one is a pair of two hashes.
TEST(Lsh, ManyBucketsSortPositionsToo) {
    const auto made = make({{"rounds", "2"}, {"chunk", "4"}, {"buckets", "300"}});
    const auto& block = dynamic_cast<const LshBlock&>(*made->block);
    EXPECT_EQ(block.rotations(N).sizes(), at::IntArrayRef({2, kSize, 18}));  // 18 x 18 buckets
    Pass pass;
    pass.causal = false;
    const Tensor ones = at::ones({N, 1, kSize}, at::kDouble);
    expect_close(block.attended(queries(), ones, block.rotations(N), pass), ones, 1e-12, "weights' sums");
}

TEST(Lsh, GradientsMatchFiniteDifferences) {
    const Tensor rotations = at::stack({rotation(), at::cos(3 * rotation() + 1)});
    for (const bool causal : {false, true}) {
        Tensor q = queries().requires_grad_(), v = values().requires_grad_();
        const auto loss = [&] {
            return (run({{"rounds", "2"}, {"chunk", "3"}, {"buckets", "4"}}, rotations, causal, q, v) *
                    wave({N, kSize}, 0.3, 0.4, 1.0))
                .sum();
        };
        torch::autograd::backward({loss()}, {});
        const at::NoGradGuard guard;
        for (const Tensor* leaf : {&q, &v})
            for (int64_t i = 0; i < N; i += 3) {
                const double h = 1e-6;
                const auto moved = [&](double by) {
                    (*leaf)[i][0][i % kSize].add_(by);
                    const double value = loss().item<double>();
                    (*leaf)[i][0][i % kSize].sub_(by);
                    return value;
                };
                EXPECT_NEAR(leaf->grad()[i][0][i % kSize].item<double>(), (moved(h) - moved(-h)) / (2 * h), 1e-7);
            }
    }
}

TEST(Lsh, ADecoderTakesItOnRequestAlone) {
    EXPECT_ERROR(testing::BuiltStack("<lsh>"), ErrorKind::usage, "later tokens move the borders");
    const testing::BuiltStack built("<lsh>f", {}, "[blocks.lsh]\nallow_leak = true\n");
    const Tensor x = wave({5, 2, 8}, 0.3, 0.1, 1.0);
    EXPECT_TRUE(at::isfinite(built.stack.root->forward(x, {}, {}).flow.x_TBD).all().item<bool>());
    EXPECT_ERROR(make({{"buckets", "5"}}), ErrorKind::usage, "buckets 5 are no even number");
}

}  // namespace
}  // namespace lithe
