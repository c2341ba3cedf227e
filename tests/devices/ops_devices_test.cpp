// Every operator on the GPU against its CPU version, forward and backward, at awkward sizes.
#include "devices/devices.h"
#include "lithe/ops/attention.h"
#include "lithe/ops/cross_entropy.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/glu.h"
#include "lithe/ops/norm.h"
#include "lithe/ops/patterned_attention.h"
#include "lithe/ops/relative_attention.h"
#include "lithe/ops/rms_norm.h"
#include "lithe/ops/rotary.h"
#include "lithe/ops/softmax.h"

namespace lithe {
namespace {

using testing::expect_same;
using testing::kTypes;
using testing::leaf;
using testing::sizes_name;
using testing::Tensors;
using testing::tolerance_of;
using testing::wave;

class Gpu : public testing::GpuTest {};

TEST_F(Gpu, SoftmaxUnderEveryMask) {
    const int64_t B = 2, H = 3;
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 5, 33})
            for (const int64_t memory : {0, 1, 300, 1000})
                for (const bool causal : {true, false})
                    for (const bool more : {false, true}) {
                        const int64_t keys = steps + memory;
                        Tensor hidden = at::zeros({B, keys}, at::kByte), first = at::zeros({B, steps}, at::kInt);
                        hidden[1].narrow(0, 0, keys).fill_(1);
                        first[0].fill_(int(keys / 2));
                        Tensors in = {leaf({B * H, steps, keys}, 0.37, 0.1, 3, type), more ? hidden : Tensor(),
                                      more ? first : Tensor()};
                        expect_same(
                            [&](const Tensors& t) -> Tensors {
                                const ops::AttentionMask mask{.causal = causal,
                                                              .window = more && causal ? 20 : -1,
                                                              .hidden_BS = t[1],
                                                              .first_BT = t[2]};
                                return {ops::masked_softmax_(t[0] * 1.0, mask, H, 0.7)};
                            },
                            in, tolerance_of(type), sizes_name("softmax", type, {steps, memory, causal, more}));
                    }
}

// In bf16 with whole heads this is FlashAttention, whose mask must end at the last key.
TEST_F(Gpu, Attention) {
    const int64_t B = 2;
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 9, 65})
            for (const int64_t memory : {0, 7, 130})
                for (const auto& [heads, size] : {std::pair<int64_t, int64_t>(1, 128), {3, 8}, {2, 6}, {1, 264}})
                    for (const int parts : {1, 2, 3})
                        for (const int64_t window : {-1, 11}) {
                            const int64_t P = heads * size;
                            Tensors in = {
                                parts < 3 ? leaf({steps, B, P}, 0.37, 0.1, 1, type) : Tensor(),
                                leaf({steps, B, parts * P}, 0.53, 0.7, 1, type),
                                memory ? leaf({memory, B, (parts == 1 ? 1 : 2) * P}, 0.43, 0.2, 1, type) : Tensor()};
                            expect_same(
                                [&](const Tensors& t) -> Tensors {
                                    return {ops::attention({.q_TBP = t[0],
                                                            .kv_TBX = t[1],
                                                            .memory_MBX = t[2],
                                                            .mask = {.window = window},
                                                            .heads = heads})};
                                },
                                in, tolerance_of(type),
                                sizes_name("attention", type, {steps, memory, heads, size, parts, window}));
                        }
}

// What parts are joined by, and what bends scores.
TEST_F(Gpu, AttentionOfSpansAndBentScores) {
    const int64_t B = 2, H = 2, P = 16, steps = 24;
    for (const auto type : kTypes)
        for (const int64_t memory : {0, 8})
            for (const bool spans : {false, true}) {
                Tensors in = {leaf({steps, B, 3 * P}, 0.53, 0.7, 1, type),
                              memory ? leaf({memory, B, 2 * P}, 0.43, 0.2, 1, type) : Tensor()};
                expect_same(
                    [&](const Tensors& t) -> Tensors {
                        ops::AttentionInput of{.kv_TBX = t[0], .memory_MBX = t[1], .heads = H, .soft_cap = 0.9};
                        of.slopes_H = wave({H}, 0.4, 0.5, 0.3, ops::compute_type(type)).to(t[0].device());
                        if (spans)
                            of.mask.spans = ops::dilated_spans(steps, steps + memory, 3, -1, 0).to(t[0].device());
                        const auto out = ops::attention_with_lse(of);
                        return {out.out_TBP, out.lse,
                                ops::joined({ops::local_attention(of, 3, 0), ops::dilated_attention(of, 4, -1, -1)})};
                    },
                    in, tolerance_of(type), sizes_name("spans", type, {memory, spans}));
            }
}

TEST_F(Gpu, AttentionOfMaskedAndDroppedKeys) {
    const int64_t B = 2, steps = 17, memory = 6, H = 2, P = 16;
    for (const auto type : kTypes)
        for (const double dropout : {0.0, 0.3}) {
            Tensor hidden = at::zeros({B, memory + steps}, at::kByte), first = at::zeros({B, steps}, at::kInt);
            hidden[0].narrow(0, 0, 3).fill_(1);
            first[1].narrow(0, 9, 8).fill_(int(memory + 9));
            Tensors in = {leaf({steps, B, 3 * P}, 0.53, 0.7, 1, type), leaf({memory, B, 2 * P}, 0.43, 0.2, 1, type),
                          hidden, first};
            expect_same(
                [&](const Tensors& t) -> Tensors {
                    return {ops::attention({.kv_TBX = t[0],
                                            .memory_MBX = t[1],
                                            .mask = {.hidden_BS = t[2], .first_BT = t[3]},
                                            .heads = H,
                                            .dropout = dropout,
                                            .dropout_key = 5})};
                },
                in, tolerance_of(type), sizes_name("masked attention", type, {dropout > 0}));
        }
}

TEST_F(Gpu, RelativeAttention) {
    const int64_t B = 2, H = 2, P = 16;
    for (const auto type : kTypes)
        for (const int64_t steps : {1, 9, 40})
            for (const int64_t memory : {0, 7, 50}) {
                const auto compute = ops::compute_type(type);
                Tensors in = {leaf({steps, B, 3 * P}, 0.53, 0.7, 1, type),
                              memory ? leaf({memory, B, 2 * P}, 0.43, 0.2, 1, type) : Tensor(),
                              leaf({steps + memory, P}, 0.31, 0.4, 1, type), leaf({P}, 0.7, 0.1, 0.5, compute),
                              leaf({P}, 0.9, 0.3, 0.5, compute)};
                expect_same(
                    [&](const Tensors& t) -> Tensors {
                        return {ops::relative_attention({.qkv_TBX = t[0],
                                                         .memory_MBX = t[1],
                                                         .r_SP = t[2],
                                                         .u_P = t[3],
                                                         .v_P = t[4],
                                                         .mask = {},
                                                         .heads = H})};
                    },
                    in, tolerance_of(type), sizes_name("relative attention", type, {steps, memory}));
            }
}

TEST_F(Gpu, DropoutDropsTheSame) {
    for (const auto type : kTypes)
        for (const int64_t outer : {1, 9})
            for (const int64_t rows : {1, 5, 70})
                for (const int64_t inner : {1, 3, 64, 1029})
                    for (const int64_t row_axis : {int64_t(1), ops::kSharedByRows})
                        expect_same(
                            [&](const Tensors& t) -> Tensors {
                                return {ops::dropout(t[0], 0.3, ops::DropoutKey(99, {}, 6), row_axis)};
                            },
                            {leaf({outer, rows, inner}, 0.37, 0.1, 1, type)}, type == at::kBFloat16 ? 1e-2 : 1e-6,
                            sizes_name("dropout", type, {outer, rows, inner, row_axis}));
}

TEST_F(Gpu, NormOfOneAndOfASum) {
    for (const auto type : kTypes)
        for (const int64_t rows : {1, 63, 130})
            for (const int64_t width : {1, 31, 33, 512, 1029})
                for (const bool sum : {false, true}) {
                    const auto compute = ops::compute_type(type);
                    Tensors in = {leaf({rows, width}, 0.37, 0.1, 2, type), leaf({width}, 0.3, 1.1, 1.5, compute),
                                  leaf({width}, 0.7, 0.3, 0.5, compute),
                                  sum ? leaf({rows, width}, 0.41, 0.5, 1, type) : Tensor(),
                                  sum ? leaf({1}, 0.1, 0.8, 1, compute) : Tensor()};
                    // a sum of one number less its mean is rounding alone, and the gradient takes that times 300
                    if (sum && width == 1) continue;
                    expect_same(
                        [](const Tensors& t) -> Tensors {
                            return {ops::layer_norm(t[0], t[1], t[2], 1e-5, t[3], t[4])};
                        },
                        in, tolerance_of(type), sizes_name("norm", type, {rows, width, sum}));
                }
}

TEST_F(Gpu, RmsNormWithEveryGate) {
    using kernels::NormGate;
    for (const auto type : kTypes)
        for (const int64_t width : {1, 33, 130})
            for (const NormGate gate : {NormGate::none, NormGate::before, NormGate::after}) {
                const int64_t T = 70, H = 2;
                Tensors in = {leaf({T, H * width}, 0.37, 0.1, 2, type),
                              leaf({width}, 0.3, 1.1, 1.5, ops::compute_type(type)),
                              gate == NormGate::none ? Tensor() : leaf({T, H * width}, 0.41, 0.5, 3, type)};
                expect_same([&](const Tensors& t) -> Tensors { return {ops::rms_norm(t[0], t[1], 1e-5, gate, t[2])}; },
                            in, tolerance_of(type), sizes_name("rms norm", type, {width, int64_t(gate)}));
            }
}

TEST_F(Gpu, LinearCrossEntropyWholeAndInChunks) {
    for (const auto type : kTypes)
        for (const int64_t rows : {1, 65, 200})
            for (const int64_t vocabulary : {1, 7, 257, 1029})
                for (const int64_t chunk : {int64_t(1), int64_t(32 << 20)}) {
                    const double smoothing = vocabulary > 1 && rows == 65 ? 0.1 : 0;
                    const int64_t D = 24;
                    Tensor targets = at::arange(rows, at::kLong).mul(7).remainder(vocabulary);
                    targets[0] = -1;
                    Tensors in = {leaf({rows, D}, 0.37, 0.1, 1, type), leaf({vocabulary, D}, 0.53, 0.7, 0.5, type),
                                  leaf({vocabulary}, 0.3, 0.2, 0.5, ops::compute_type(type)), targets};
                    expect_same(
                        [&](const Tensors& t) -> Tensors {
                            return {ops::linear_cross_entropy(t[0], t[1], t[2], t[3], smoothing, chunk)};
                        },
                        in, tolerance_of(type), sizes_name("cross-entropy", type, {rows, vocabulary, chunk}));
                }
}

TEST_F(Gpu, AWrongTargetIsNoNumber) {
    const at::Device device = testing::device_under_test();
    const Tensor loss =
        ops::linear_cross_entropy(at::ones({3, 4}, device), at::ones({5, 4}, device), at::zeros({5}, device),
                                  at::tensor({1, 5, 0}, at::TensorOptions(at::kLong)).to(device));
    EXPECT_TRUE(at::isnan(loss).item<bool>());
}

TEST_F(Gpu, GatedLinearUnits) {
    using kernels::GluGate;
    for (const auto type : kTypes)
        for (const int64_t inner : {1, 33, 130})
            for (const GluGate gate : {GluGate::sigmoid, GluGate::silu, GluGate::gelu, GluGate::relu})
                expect_same([&](const Tensors& t) -> Tensors { return {ops::glu(t[0], gate)}; },
                            {leaf({7, 3, 2 * inner}, 0.37, 0.1, 3, type)}, tolerance_of(type),
                            sizes_name("glu", type, {inner, int64_t(gate)}));
}

TEST_F(Gpu, RotaryPositions) {
    const ops::Rotary rotary{.size = 10, .turned = 6, .base = 100};
    for (const auto type : kTypes)
        expect_same([&](const Tensors& t) -> Tensors { return {ops::rotary(t[0], rotary, 3, 4)}; },
                    {leaf({9, 2, 35}, 0.37, 0.1, 1, type)}, tolerance_of(type), sizes_name("rotary", type, {9, 2}));
}

}  // namespace
}  // namespace lithe
