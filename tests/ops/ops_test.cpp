#include <torch/csrc/autograd/autograd.h>

#include "lithe/base/position_flags.h"
#include "lithe/ops/attention.h"
#include "lithe/ops/cross_entropy.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/lstm.h"
#include "lithe/ops/norm.h"
#include "lithe/ops/recurrence.h"
#include "lithe/ops/softmax.h"
#include "lithe/ops/sru.h"
#include "support/errors.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::expect_close;
using testing::wave;

TEST(Softmax, EqualsAtenWithAMask) {
    const int64_t steps = 5, keys = 9;
    for (int64_t window : {int64_t(-1), int64_t(3)}) {
        Tensor scores = wave({4, steps, keys}, 0.3, 0.2, 2.0).set_requires_grad(true);
        Tensor weight = wave({4, steps, keys}, 0.9, 0.1, 1.0);
        Tensor p = ops::masked_softmax_(scores * 1.0, {.window = window}, 2, 0.5);
        torch::autograd::backward({(p * weight).sum()}, {});
        Tensor got = scores.grad().clone();
        scores.mutable_grad().reset();
        Tensor position = at::arange(steps).unsqueeze(1) + (keys - steps), key = at::arange(keys).unsqueeze(0);
        Tensor visible = key.le(position);
        if (window >= 0) visible = visible.logical_and(key.ge(position - window));
        Tensor expected = at::softmax((scores * 0.5).masked_fill(visible.logical_not(), -INFINITY), -1);
        torch::autograd::backward({(expected * weight).sum()}, {});
        expect_close(p, expected, 1e-12, "p");
        expect_close(got, scores.grad(), 1e-12, "dscores");
    }
}

TEST(Softmax, NothingVisibleIsZeroNotNan) {
    Tensor hidden = at::ones({1, 4}, at::kByte);
    Tensor p = ops::masked_softmax_(wave({1, 4, 4}, 0.3, 0.2, 2.0), {.hidden_BS = hidden}, 1, 1.0);
    EXPECT_EQ(p.abs().max().item<double>(), 0);
}

// Output and gradients of queries, keys and the memory, where the keys are the values: as one tensor, or written twice.
std::vector<Tensor> attend(int64_t steps, int64_t memory, int64_t heads, double dropout, bool twice) {
    const int64_t P = 6, B = 2;
    Tensor q = wave({steps, B, P}, 0.37, 0.1, 1.5).requires_grad_(), kv = wave({steps, B, P}, 0.53, 0.7, 1.5),
           old = wave({memory, B, P}, 0.43, 0.2, 1.5);
    kv.requires_grad_();
    old.requires_grad_();
    const auto both = [&](const Tensor& x) { return twice ? at::cat({x, x}, 2) : x; };
    ops::AttentionInput in{.q_TBP = q, .kv_TBX = both(kv), .heads = heads, .dropout = dropout, .dropout_key = 5};
    if (memory > 0) in.memory_MBX = both(old);
    Tensor out = ops::attention(in);
    torch::autograd::backward({out}, {wave(out.sizes(), 0.3, 1.57, 1.0)});
    return {out.detach(), q.grad(), kv.grad(), memory > 0 ? old.grad() : old.detach()};
}

TEST(Attention, KeysMayBeTheValues) {
    for (int64_t steps : {3, 19})  // unfused, fused
        for (int64_t memory : {0, 7})
            for (int64_t heads : {1, 3})
                for (double dropout : {0.0, 0.4}) {
                    const auto once = attend(steps, memory, heads, dropout, false),
                               twice = attend(steps, memory, heads, dropout, true);
                    for (size_t i = 0; i < once.size(); ++i)
                        expect_close(once[i], twice[i], 1e-12, "tensor " + std::to_string(i));
                }
}

TEST(Attention, ChecksShapes) {
    const Tensor z = at::ones({9, 2, 6});
    EXPECT_ERROR(ops::attention({.q_TBP = z, .kv_TBX = z, .memory_MBX = at::ones({4, 2, 12})}), ErrorKind::failed,
                 "memory [4, 2, 12] does not fit keys and values [9, 2, 6]");
    EXPECT_ERROR(ops::attention({.q_TBP = z, .kv_TBX = z, .heads = 4}), ErrorKind::failed, "do not hold 4 heads");
    EXPECT_ERROR(ops::attention({.q_TBP = z, .kv_TBX = at::ones({9, 12})}), ErrorKind::failed, "are not [T][B][X]");
}

TEST(CrossEntropy, ChecksItsTargets) {
    Tensor h = wave({3, 2}, 0.3, 0.1, 1.0), weight = wave({5, 2}, 0.5, 0.2, 1.0), bias = at::zeros({5}, at::kDouble);
    auto loss = [&](std::vector<int64_t> targets) {
        return ops::linear_cross_entropy(h, weight, bias, at::tensor(targets, at::kLong)).item<double>();
    };
    EXPECT_ERROR(loss({0, 5, 1}), ErrorKind::failed, "target 5 is outside the vocabulary of 5");
    EXPECT_ERROR(loss({0, -2, 1}), ErrorKind::failed, "target -2");
    EXPECT_EQ(loss({-1, -1, -1}), 0);
    EXPECT_ERROR(ops::linear_cross_entropy(h, wave({1, 2}, 0.5, 0.2, 1.0), at::zeros({1}, at::kDouble),
                                           at::zeros({3}, at::kLong), 0.1),
                 ErrorKind::failed, "smoothing needs two tokens");
}

// In one chunk and in many, with some targets not scored, against the plain formula.
TEST(CrossEntropy, EqualsAtenInChunks) {
    const int64_t rows = 201, width = 6, vocabulary = 37;
    std::vector<Tensor> leaves = {wave({rows, width}, 0.37, 0.1, 1.0), wave({vocabulary, width}, 0.53, 0.4, 1.0),
                                  wave({vocabulary}, 0.9, 0.2, 0.5)};
    for (Tensor& each : leaves) each.set_requires_grad(true);
    Tensor targets = at::arange(rows, at::kLong).mul(7).remainder(vocabulary + 1) - 1;
    auto gradients = [&](const Tensor& loss) {
        torch::autograd::backward({loss * 0.3}, {}, true);
        std::vector<Tensor> found = {loss.detach()};
        for (Tensor& each : leaves) {
            found.push_back(each.grad().clone());
            each.mutable_grad().reset();
        }
        return found;
    };
    Tensor logp = at::log_softmax(at::linear(leaves[0], leaves[1], leaves[2]), 1);
    Tensor picked = logp.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
    const Tensor plain = -(picked * targets.ge(0)).sum(), all = -(logp * targets.ge(0).unsqueeze(1)).sum();
    for (const double smoothing : {0.0, 0.1}) {
        const double each = smoothing / double(vocabulary - 1);
        const auto expected = gradients(plain * (1 - smoothing - each) + all * each);
        for (int64_t chunk_bytes : {int64_t(1), int64_t(70 * 37 * 8), int64_t(32 << 20)}) {
            const auto got =
                gradients(ops::linear_cross_entropy(leaves[0], leaves[1], leaves[2], targets, smoothing, chunk_bytes));
            for (size_t i = 0; i < got.size(); ++i)
                expect_close(got[i], expected[i], 1e-11, "loss, dh, dweight, dbias");
        }
    }
}

TEST(Dropout, BackwardDrawsTheSameMask) {
    for (const int64_t row_axis : {int64_t(0), int64_t(1), ops::kSharedByRows}) {
        Tensor x = at::ones({50, 7}, at::kDouble).set_requires_grad(true);
        Tensor y = ops::dropout(x, 0.4, 77, row_axis);
        torch::autograd::backward({y.sum()}, {});
        EXPECT_TRUE(at::equal(y.detach(), x.grad()));
        EXPECT_TRUE(ops::dropout(x, 0, 77, row_axis).is_same(x));
    }
    EXPECT_ERROR(ops::dropout(at::ones({50, 7}), 0.4, 77, 2), ErrorKind::failed, "[50, 7] has no axis 2 of rows");
}

// Rows 2 and 3 of five, as a part of the batch that begins at row 2 of the update.
TEST(Dropout, RowsDrawTheirMasksHoweverTheBatchIsCut) {
    const int64_t first = 2, heads = 3;
    const ops::DropoutKey whole(77, {}, 10), part(77, {}, 10 + first);
    const auto options = at::TensorOptions(at::kDouble);
    const Tensor x_TBD = at::ones({6, 5, 7}, options), p_NTS = at::ones({5 * heads, 4, 9}, options);
    EXPECT_TRUE(at::equal(ops::dropout(x_TBD, 0.4, whole, 1).narrow(1, first, 2),
                          ops::dropout(x_TBD.narrow(1, first, 2), 0.4, part, 1)));
    EXPECT_TRUE(at::equal(ops::dropout_of_heads(p_NTS, heads, 0.4, whole).narrow(0, first * heads, 2 * heads),
                          ops::dropout_of_heads(p_NTS.narrow(0, first * heads, 2 * heads), heads, 0.4, part)));
    EXPECT_TRUE(at::equal(ops::dropout_of_heads(p_NTS, heads, 0.4, whole).narrow(1, 0, 3).narrow(2, 0, 6),
                          ops::dropout_of_heads(p_NTS.narrow(1, 0, 3).narrow(2, 0, 6), heads, 0.4, whole)));
    EXPECT_TRUE(at::equal(ops::dropout_mask({5, 7}, 0.4, whole, options).narrow(0, first, 2),
                          ops::dropout_mask({2, 7}, 0.4, part, options)));
    EXPECT_TRUE(at::equal(ops::dropout(x_TBD, 0.4, whole, ops::kSharedByRows),
                          ops::dropout(x_TBD, 0.4, part, ops::kSharedByRows)));
    EXPECT_FALSE(at::equal(ops::dropout(x_TBD, 0.4, whole, 1), ops::dropout(x_TBD, 0.4, part, 1)));
    EXPECT_EQ(ops::dropout(at::ones({0, 5, 7}), 0.4, whole, 1).numel(), 0);
    EXPECT_EQ(ops::dropout(at::ones({6, 0, 7}), 0.4, whole, 1).numel(), 0);
}

TEST(Norm, EqualsAten) {
    const auto options = at::TensorOptions(at::kDouble);
    for (const bool of_sum : {false, true}) {
        auto leaves = [&] {
            std::vector<Tensor> list = {wave({150, 2, 5}, 0.37, 0.1, 2).transpose(0, 1), wave({5}, 0.3, 1.1, 1.5),
                                        wave({5}, 0.7, 0.3, 0.5)};
            if (of_sum) list.insert(list.end(), {wave({2, 150, 5}, 0.41, 0.5, 1), at::full({}, 0.7, options)});
            for (Tensor& each : list) each = each.detach().set_requires_grad(true);
            return list;
        };
        const std::vector<Tensor> ours = leaves(), theirs = leaves();
        const double epsilon = of_sum ? 1e-5 : 0.1;
        const Tensor y = of_sum ? ops::layer_norm(ours[0], ours[1], ours[2], epsilon, ours[3], ours[4])
                                : ops::layer_norm(ours[0], ours[1], ours[2], epsilon);
        const Tensor expected =
            at::layer_norm(of_sum ? theirs[0] + theirs[4] * theirs[3] : theirs[0], {5}, theirs[1], theirs[2], epsilon);
        expect_close(y, expected, 1e-12, "y");
        const Tensor weights = wave({2, 150, 5}, 0.53, 0.7, 1);
        torch::autograd::backward({(y * weights).sum(), (expected * weights).sum()}, {});
        for (size_t i = 0; i < ours.size(); ++i)
            expect_close(ours[i].grad(), theirs[i].grad(), 1e-10, "gradient " + std::to_string(i));
    }
}

TEST(Norm, ChecksShapesAndTypes) {
    const Tensor x = wave({3, 4}, 0.3, 0, 1), gain = at::ones({4}, at::kDouble);
    EXPECT_ERROR(ops::layer_norm(x, at::ones({5}, at::kDouble), gain, 1e-5), ErrorKind::failed, "do not fit [3, 4]");
    EXPECT_ERROR(ops::layer_norm(x, gain.to(at::kFloat), gain, 1e-5), ErrorKind::failed, "do not fit [3, 4]");
    EXPECT_ERROR(ops::layer_norm(x, gain, gain, 1e-5, wave({4, 4}, 0.3, 0, 1), at::ones({}, at::kDouble)),
                 ErrorKind::failed, "what is added, [4, 4], does not fit");
    EXPECT_ERROR(ops::layer_norm(x, gain, gain, 1e-5, x), ErrorKind::failed, "what is added");
}

TEST(Sru, ChecksShapesAndTypes) {
    ops::SruInput in;
    in.u = wave({3, 2, 12}, 0.3, 0.1, 1.0);
    in.v_2D = wave({2, 4}, 0.3, 0.1, 1.0);
    in.bias_2D = wave({2, 4}, 0.3, 0.1, 1.0);
    EXPECT_NO_THROW(ops::sru(in));
    auto broken = [&](auto change, const char* words) {
        ops::SruInput bad = in;
        change(bad);
        EXPECT_ERROR(ops::sru(bad), ErrorKind::failed, words);
    };
    broken([](auto& i) { i.planes = 4; }, "does not hold 4 planes");
    broken([](auto& i) { i.c0_BD = at::zeros({2, 5}, at::kDouble); }, "is not [B][D]");
    broken([](auto& i) { i.c0_BD = at::zeros({2, 4}, at::kFloat); }, "must be fp32 (fp64");
    broken([](auto& i) { i.x_TBD = at::zeros({3, 2, 5}, at::kDouble); }, "skip input");
    broken([](auto& i) { i.u = i.u.to(at::kHalf); }, "expected fp32, bf16 or fp64");
    broken([](auto& i) { i.flags_TB = at::zeros({2, 2}, at::kByte); }, "flags");
}

TEST(Sru, EmptySegmentKeepsTheState) {
    ops::SruInput in;
    in.u = at::zeros({0, 2, 12}, at::kDouble);
    in.v_2D = in.bias_2D = wave({2, 4}, 0.3, 0.1, 1.0);
    in.c0_BD = wave({2, 4}, 0.7, 0.1, 1.0);
    EXPECT_TRUE(at::equal(ops::sru(in).c_BD, in.c0_BD));
}

// Its states may be the output itself.
TEST(Recurrence, NoticesThatItsOutputWasChanged) {
    const Tensor u = wave({4, 2, 6}, 0.3, 0.1, 1.0).set_requires_grad(true);
    const Tensor h = ops::recurrence({.cell = kernels::Cell::min_gru, .u = u}).h_TBD;
    h.add_(1);
    EXPECT_ANY_THROW(torch::autograd::backward({h.sum()}, {}));
}

TEST(Recurrence, ChecksShapesAndTypes) {
    const auto expect = [](const ops::RecurrenceInput& in, const char* words) {
        EXPECT_ERROR(ops::recurrence(in), ErrorKind::failed, words);
    };
    const Tensor u = wave({3, 2, 8}, 0.3, 0.1, 1.0);
    expect({.cell = kernels::Cell::min_lstm, .u = u}, "does not hold 3 planes");
    expect({.cell = kernels::Cell::rg_lru, .u = u}, "reads x");
    expect({.cell = kernels::Cell::min_gru, .u = u, .x_TBD = u}, "reads no x");
    expect({.cell = kernels::Cell::ssru, .u = u}, "has 1 weights of a column");
    expect({.cell = kernels::Cell::ssru, .u = u, .weights = {at::zeros({3}, at::kDouble)}}, "do not fit a width of 4");
}

ops::LstmInput lstm_input() {
    const int64_t steps = 5, batch = 3, in = 4, d = 6;
    return {.x_TBI = wave({steps, batch, in}, 0.3, 0.1, 1.0),
            .w_input = wave({4 * d, in}, 0.53, 0.7, 1.0),
            .w_state = wave({4 * d, d}, 0.37, 0.2, 0.8),
            .bias = wave({4 * d}, 0.9, 0.4, 0.5),
            .h0_BD = wave({batch, d}, 0.7, 0.1, 0.5),
            .c0_BD = wave({batch, d}, 0.2, 0.9, 0.5)};
}

std::vector<Tensor*> tensors_of(ops::LstmInput& in) {
    return {&in.x_TBI, &in.w_input, &in.w_state, &in.bias, &in.h0_BD, &in.c0_BD};
}

// The kernel and what is expected of it, in values and gradients.
template <class Expected> void expect_same_lstm(ops::LstmInput in, const Expected& expected) {
    std::vector<std::vector<Tensor>> results;
    for (bool kernel : {true, false}) {
        ops::LstmInput own = in;
        for (Tensor* each : tensors_of(own)) *each = each->clone().set_requires_grad(true);
        const ops::LstmOutput out = kernel ? ops::lstm(own) : expected(own);
        const Tensor loss = (out.h_TBD * wave(out.h_TBD.sizes().vec(), 0.3, 0.4, 1.0)).sum() +
                            (out.h_BD * wave(out.h_BD.sizes().vec(), 0.6, 0.1, 1.0)).sum() +
                            (out.c_BD * wave(out.c_BD.sizes().vec(), 0.5, 0.2, 1.0)).sum();
        torch::autograd::backward({loss}, {});
        results.push_back({out.h_TBD, out.h_BD, out.c_BD});
        for (Tensor* each : tensors_of(own)) results.back().push_back(each->grad());
    }
    for (size_t i = 0; i < results[0].size(); ++i)
        expect_close(results[0][i], results[1][i], 1e-12, "result or gradient " + std::to_string(i));
}

TEST(Lstm, EqualsAten) {
    expect_same_lstm(lstm_input(), [](const ops::LstmInput& in) -> ops::LstmOutput {
        auto [h_TBD, h, c] =
            at::lstm(in.x_TBI, {in.h0_BD.unsqueeze(0), in.c0_BD.unsqueeze(0)},
                     {in.w_input, in.w_state, in.bias, at::zeros_like(in.bias)}, true, 1, 0.0, true, false, false);
        return {h_TBD, h[0], c[0]};
    });
}

// What a GPU runs where documents begin inside a segment.
TEST(Lstm, EqualsTheStepsWithFlags) {
    ops::LstmInput in = lstm_input();
    in.flags_TB = at::zeros({5, 3}, at::kByte);
    in.flags_TB[2][0] = int64_t(kDocumentBegins);
    in.flags_TB[0][1] = int64_t(kPadding);
    in.flags_TB[3][1] = int64_t(kPadding | kDocumentBegins);
    in.flags_TB[4][2] = int64_t(kPadding);
    expect_same_lstm(in, ops::lstm_by_steps);
}

TEST(Lstm, ChecksShapesAndTypes) {
    auto broken = [&](auto change, const char* words) {
        ops::LstmInput bad = lstm_input();
        change(bad);
        EXPECT_ERROR(ops::lstm(bad), ErrorKind::failed, words);
    };
    broken([](auto& i) { i.x_TBI = wave({5, 3, 5}, 0.3, 0.1, 1.0); }, "do not fit x [5, 3, 5]");
    broken([](auto& i) { i.w_state = i.w_state.t(); }, "do not fit x");
    broken([](auto& i) { i.bias = i.bias.narrow(0, 0, 6); }, "bias [6] is not [4 D]");
    broken([](auto& i) { i.w_state = i.w_state.to(at::kFloat); }, "differ in type");
    broken([](auto& i) { i.c0_BD = i.c0_BD.to(at::kFloat); }, "must be fp32 (fp64");
    broken([](auto& i) { i.h0_BD = at::zeros({3, 5}, at::kDouble); }, "is not [B][D]");
    broken([](auto& i) { i.flags_TB = at::zeros({2, 2}, at::kByte); }, "flags");
}

TEST(Lstm, EmptySegmentKeepsTheState) {
    ops::LstmInput in = lstm_input();
    in.x_TBI = in.x_TBI.narrow(0, 0, 0);
    const auto out = ops::lstm(in);
    EXPECT_EQ(out.h_TBD.sizes(), at::IntArrayRef({0, 3, 6}));
    EXPECT_TRUE(at::equal(out.c_BD, in.c0_BD));
    EXPECT_TRUE(at::equal(out.h_BD, in.h0_BD));
}

}  // namespace
}  // namespace lithe
