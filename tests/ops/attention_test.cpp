// Attention with everything that it can be given, as one masked softmax in LibTorch's operators, forward and backward.
#include <torch/csrc/autograd/autograd.h>

#include "lithe/ops/heads.h"
#include "lithe/ops/patterned_attention.h"
#include "support/waves.h"

namespace lithe {
namespace {

using ops::AttentionInput;
using ops::AttentionOutput;
using testing::expect_close;
using testing::wave;

constexpr int64_t B = 2, H = 3, kSize = 4, kWidth = H * kSize;

// Of memory and segment, by the rule itself: who sees whom [B][H][T][S].
Tensor visible(const AttentionInput& in, int64_t steps, int64_t keys) {
    const kernels::SoftmaxMask mask = ops::mask_args(in.mask, {B, H, steps, keys});
    Tensor all = at::zeros({B, H, steps, keys}, at::kBool);
    auto see = all.accessor<bool, 4>();
    for (int64_t b = 0; b < B; ++b)
        for (int64_t h = 0; h < H; ++h)
            for (int64_t i = 0; i < steps; ++i)
                for (int64_t j = 0; j < keys; ++j) see[b][h][i][j] = kernels::sees(mask, b, h, i, j);
    return all;
}

AttentionOutput expected(const AttentionInput& in) {
    const Tensor kv = in.memory_MBX.defined() ? at::cat({in.memory_MBX, in.kv_TBX}) : in.kv_TBX;
    const int64_t steps = in.q_TBP.size(0), keys = kv.size(0);
    const auto by_head = [&](const Tensor& x) { return ops::heads_first(x, H).view({B, H, x.size(0), kSize}); };
    const Tensor q = by_head(in.q_TBP), k = by_head(kv.narrow(2, 0, kWidth)), v = by_head(kv.narrow(2, kWidth, kWidth));
    Tensor scores = at::matmul(q, k.transpose(2, 3));
    const Tensor distance =
        at::arange(keys - steps, keys, at::kDouble).unsqueeze(1) - at::arange(keys, at::kDouble).unsqueeze(0);
    const Tensor rows = (keys - 1 - distance).clamp_max(double(keys - 1)).to(at::kLong);
    const auto by_distance = [&](const Tensor& x_XTS) { return x_XTS.gather(-1, rows.expand(x_XTS.sizes())); };
    if (in.distance_q_TBP.defined())
        scores = scores + by_distance(at::matmul(by_head(in.distance_q_TBP),
                                                 in.distance_r_SP.view({keys, H, kSize}).permute({1, 2, 0})));
    scores = scores / std::sqrt(double(kSize));
    if (in.soft_cap > 0) scores = at::tanh(scores / in.soft_cap) * in.soft_cap;
    if (in.distance_bias_HS.defined())
        scores = scores + by_distance(in.distance_bias_HS.unsqueeze(1).expand({H, steps, keys}));
    if (in.key_bias_BHS.defined())
        scores = scores + in.key_bias_BHS.unsqueeze(2) - in.key_bias_BHS.narrow(2, keys - steps, steps).unsqueeze(3);
    if (in.slopes_H.defined()) scores = scores - in.slopes_H.view({H, 1, 1}) * distance;
    const Tensor masked = scores.masked_fill(visible(in, steps, keys).logical_not(), -1e300);
    const Tensor out = at::matmul(at::softmax(masked, 3), v);
    return {out.permute({2, 0, 1, 3}).flatten(2), at::logsumexp(masked, {3}).permute({2, 0, 1})};
}

struct Leaves {
    Tensor q, kv, memory, distance_q, distance_r, distance_bias, key_bias;
    Leaves(int64_t steps, int64_t memory_keys)
        : q(wave({steps, B, kWidth}, 0.37, 0.1, 1.5).requires_grad_()),
          kv(wave({steps, B, 2 * kWidth}, 0.53, 0.7, 1.5).requires_grad_()),
          memory(wave({memory_keys, B, 2 * kWidth}, 0.43, 0.2, 1.5).requires_grad_()),
          distance_q(wave({steps, B, kWidth}, 0.23, 0.4, 1.5).requires_grad_()),
          distance_r(wave({steps + memory_keys, kWidth}, 0.61, 0.9, 1.5).requires_grad_()),
          distance_bias(wave({H, steps + memory_keys}, 1.3, 0.6, 1.0).requires_grad_()),
          key_bias(wave({B, H, steps + memory_keys}, 0.8, 0.3, 1.0).requires_grad_()) {}
    AttentionInput input(const ops::AttentionMask& mask) const {
        AttentionInput in{.q_TBP = q, .kv_TBX = kv, .mask = mask, .heads = H};
        if (memory.size(0) > 0) in.memory_MBX = memory;
        return in;
    }
    std::vector<Tensor> gradients(const std::vector<Tensor>& outputs) const {
        std::vector<Tensor> upstream;
        for (const Tensor& each : outputs) upstream.push_back(wave(each.sizes(), 0.3, 1.57, 1.0));
        torch::autograd::backward(outputs, upstream);
        std::vector<Tensor> all;
        for (const Tensor* each : {&q, &kv, &memory, &distance_q, &distance_r, &distance_bias, &key_bias})
            all.push_back(each->grad().defined() ? each->grad() : *each * 0);
        return all;
    }
};

// Which terms scores have beside the products of queries and keys.
struct Terms {
    bool by_distance = false, distance_bias = false, key_bias = false;
};

using Work = std::function<std::vector<Tensor>(const AttentionInput&)>;

void expect_same(const AttentionInput& like, int64_t memory, const Work& got, const Work& wanted,
                 const std::string& what, Terms terms = {}) {
    const auto run = [&](const Work& work) {
        Leaves leaves(like.q_TBP.size(0), memory);
        AttentionInput in = leaves.input(like.mask);
        in.soft_cap = like.soft_cap;
        in.slopes_H = like.slopes_H;
        if (terms.by_distance) {
            in.distance_q_TBP = leaves.distance_q;
            in.distance_r_SP = leaves.distance_r;
        }
        if (terms.distance_bias) in.distance_bias_HS = leaves.distance_bias;
        if (terms.key_bias) in.key_bias_BHS = leaves.key_bias;
        std::vector<Tensor> all = work(in);
        for (Tensor& each : leaves.gradients(all)) all.push_back(each);
        return all;
    };
    const auto a = run(got), b = run(wanted);
    for (size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i], 1e-10, what + ", tensor " + std::to_string(i));
}

// Every query sees its own position at least.
ops::KeySpans spans_of(int64_t steps, int64_t keys, bool apart) {
    ops::KeySpanLists lists;
    for (int64_t list = 0; list < (apart ? B * H : 1); ++list) {
        for (int64_t i = 0; i < steps; i += 3) {
            const int64_t end = std::min(steps, i + 3), position = keys - steps + i;
            lists.block(i, end);
            for (int64_t j = list % 3; j + 2 < position; j += 5) lists.span(j, j + 2);
            lists.span(position, position + end - i);
        }
        lists.end_list();
    }
    return lists.get(apart, apart);
}

// Few steps go through two products, others through the kernel.
TEST(Attention, IsTheMaskedSoftmaxWhateverItIsGiven) {
    const auto both = [](const AttentionOutput& out) { return std::vector<Tensor>{out.out_TBP, out.lse}; };
    for (const int64_t steps : {5, 21})
        for (const int64_t memory : {0, 6})
            for (const int form : {0, 1, 2, 3, 4, 5}) {
                const int64_t keys = steps + memory;
                Leaves leaves(steps, memory);
                AttentionInput in = leaves.input({});
                if (form == 1) in.soft_cap = 0.8;
                if (form == 2) in.slopes_H = wave({H}, 0.4, 0.5, 0.3);
                if (form == 3) {
                    in.mask.ahead = 2;
                    in.mask.window = 4;
                    in.soft_cap = 0.8;
                    in.slopes_H = wave({H}, 0.4, 0.5, 0.3);
                }
                if (form >= 4) in.mask.spans = spans_of(steps, keys, form == 5);
                if (form == 5) {
                    in.soft_cap = 1.1;
                    in.mask.first_BT = at::full({B, steps}, memory / 2, at::kInt);
                }
                expect_same(
                    in, memory, [&](const AttentionInput& x) { return both(ops::attention_with_lse(x)); },
                    [&](const AttentionInput& x) { return both(expected(x)); },
                    std::to_string(steps) + " steps, memory " + std::to_string(memory) + ", form " +
                        std::to_string(form));
            }
}

// A window over many keys goes by blocks of queries.
TEST(Attention, NarrowWindowsAreTheMaskedSoftmax) {
    const AttentionInput in = Leaves(1100, 0).input({.window = 20});
    for (const Terms& terms : {Terms{}, Terms{true, true, false}, Terms{false, false, true}})
        expect_same(
            in, 0, [](const AttentionInput& x) { return std::vector<Tensor>{ops::attention(x)}; },
            [](const AttentionInput& x) { return std::vector<Tensor>{expected(x).out_TBP}; }, "window", terms);
}

// Few steps go through two products, others through the kernel; a query sees itself or only what is before it.
TEST(Attention, NumbersOfKeysAndOfDistancesAreTermsOfTheScores) {
    for (const int64_t steps : {5, 21})
        for (const int64_t memory : {1, 6})
            for (const int64_t ahead : {0, -1})
                for (const Terms& terms : {Terms{true, false, false}, Terms{false, true, false},
                                           Terms{false, false, true}, Terms{true, true, true}}) {
                    AttentionInput in = Leaves(steps, memory).input({.window = 9, .ahead = ahead});
                    if (terms.key_bias) in.soft_cap = 0.8;
                    expect_same(
                        in, memory,
                        [](const AttentionInput& x) {
                            const AttentionOutput out = ops::attention_with_lse(x);
                            return std::vector<Tensor>{out.out_TBP, out.lse};
                        },
                        [](const AttentionInput& x) {
                            const AttentionOutput out = expected(x);
                            return std::vector<Tensor>{out.out_TBP, out.lse};
                        },
                        std::to_string(steps) + " steps, memory " + std::to_string(memory), terms);
                }
}

// A number in the denominator is a score more, whose weight is dropped; its gradient goes by the kernel's lse.
TEST(Attention, SinksAreAScoreMore) {
    const auto with_column = [](const AttentionInput& in, const Tensor& sinks) {
        const AttentionOutput all = expected(in);
        const Tensor lse = at::logaddexp(all.lse, sinks);
        return all.out_TBP * at::exp(all.lse - lse).repeat_interleave(kSize, 2);
    };
    for (const int64_t steps : {5, 21}) {
        Tensor gradients[2];
        for (const int which : {0, 1}) {
            const Leaves leaves(steps, 3);
            Tensor sinks = wave({H}, 0.9, 0.3, 1.2).requires_grad_();
            const AttentionInput in = leaves.input({});
            const Tensor out = which ? with_column(in, sinks) : ops::with_sinks(ops::attention_with_lse(in), sinks);
            std::vector<Tensor> all = leaves.gradients({out});
            all.push_back(sinks.grad());
            gradients[which] =
                at::cat({out.flatten(), all[0].flatten(), all[1].flatten(), all[2].flatten(), all.back()});
        }
        expect_close(gradients[0], gradients[1], 1e-10, std::to_string(steps) + " steps");
    }
}

// Near keys and strided ones, joined: by residue where lengths are whole strides, else by lists; with documents and
// hidden keys.
TEST(Attention, JoinedPartsAreOneAttention) {
    constexpr int64_t l = 3;
    for (const int64_t steps : {6, 7, 24})
        for (const int64_t memory : {0, 4, 9})
            for (const int64_t window : {-1, 7}) {
                const int64_t keys = steps + memory;
                ops::AttentionMask mask{.window = window};
                mask.hidden_BS = at::zeros({B, keys}, at::kByte);
                mask.hidden_BS[1][keys / 2] = 1;
                mask.first_BT = at::zeros({B, steps}, at::kInt);
                mask.first_BT[0].narrow(0, steps / 2, steps - steps / 2).fill_(memory + steps / 2);
                ops::KeySpanLists lists;
                for (int64_t i = 0; i < steps; ++i) {
                    lists.block(i, i + 1);
                    for (int64_t j = 0, p = memory + i; j <= p; ++j)
                        if (p - j < l || (p - j) % l == 0) lists.span(j, j + 1);
                }
                lists.end_list();
                const AttentionInput like = Leaves(steps, memory).input(mask);
                expect_same(
                    like, memory,
                    [&](const AttentionInput& x) {
                        return std::vector<Tensor>{
                            ops::joined({ops::local_attention(x, l - 1, 0), ops::dilated_attention(x, l, -1, -1)})};
                    },
                    [&](AttentionInput x) {
                        x.mask.spans = lists.get(false, false);
                        return std::vector<Tensor>{expected(x).out_TBP};
                    },
                    std::to_string(steps) + " steps after " + std::to_string(memory) + ", window " +
                        std::to_string(window));
            }
}

}  // namespace
}  // namespace lithe
