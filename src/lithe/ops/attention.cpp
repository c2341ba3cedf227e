#include "lithe/ops/attention.h"

#include <cmath>

#include "lithe/kernels/attention/attention.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/heads.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/relative_attention.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

constexpr int64_t kFewQueries = 8;           // below, packing keys costs more than it gains
constexpr int64_t kKeptBytes = 1024 * 1024;  // of probabilities per head; longer ones are computed anew

struct Sizes {
    int64_t steps, batch, memory, width, heads;
    int64_t own;    // keys behind the memory: as many as queries, or none
    int64_t parts;  // side by side in kv: keys that are the values, keys and values, or queries too
    explicit Sizes(const AttentionInput& in)
        : steps(in.q_TBP.defined() ? in.q_TBP.size(0) : in.kv_TBX.size(0)),
          batch(in.kv_TBX.size(1)),
          memory(in.memory_MBX.defined() ? in.memory_MBX.size(0) : 0),
          heads(in.heads),
          own(in.kv_TBX.size(0)) {
        parts = !in.q_TBP.defined() ? 3 : in.q_TBP.size(-1) == in.kv_TBX.size(2) ? 1 : 2;
        width = in.kv_TBX.size(2) / parts;
    }
    int64_t kept() const { return (shared() ? 1 : 2) * width; }  // numbers per key of the memory
    bool shared() const { return parts == 1; }
    int64_t keys() const { return memory + own; }
    AttentionSizes of_mask() const { return {batch, heads, steps, keys()}; }
    double scale() const { return 1 / std::sqrt(double(width) / double(heads)); }
};

void check_shapes(const AttentionInput& in) {
    check(in.kv_TBX.dim() == 3 && (!in.q_TBP.defined() || in.q_TBP.dim() == 3), "attention",
          "keys and values " + shape_of(in.kv_TBX) + " are not [T][B][X]");
    const Sizes n(in);
    const at::ScalarType sums = compute_type(in.kv_TBX.scalar_type());
    check(n.own == n.steps || (n.own == 0 && n.memory > 0 && (!in.mask.causal || n.memory >= n.steps)), "attention",
          std::to_string(n.steps) + " queries and " + std::to_string(n.own) + " keys of their segment");
    check(in.kv_TBX.size(2) % (n.parts * in.heads) == 0, "attention",
          "keys and values " + shape_of(in.kv_TBX) + " do not hold " + std::to_string(in.heads) + " heads");
    check(!in.q_TBP.defined() || in.q_TBP.sizes() == at::IntArrayRef({n.steps, n.batch, n.width}), "attention",
          "queries " + shape_of(in.q_TBP) + " do not fit keys and values " + shape_of(in.kv_TBX));
    check(!in.memory_MBX.defined() || in.memory_MBX.sizes() == at::IntArrayRef({n.memory, n.batch, n.kept()}),
          "attention", "memory " + shape_of(in.memory_MBX) + " does not fit keys and values " + shape_of(in.kv_TBX));
    for (const Tensor* each : {&in.q_TBP, &in.memory_MBX})
        check(!each->defined() || each->scalar_type() == in.kv_TBX.scalar_type(), "attention",
              "queries, keys, values and memory must have one type");
    check(!in.distance_q_TBP.defined() || (in.distance_q_TBP.sizes() == at::IntArrayRef({n.steps, n.batch, n.width}) &&
                                           in.distance_r_SP.sizes() == at::IntArrayRef({n.keys(), n.width}) &&
                                           in.distance_q_TBP.scalar_type() == in.kv_TBX.scalar_type() &&
                                           in.distance_r_SP.scalar_type() == in.kv_TBX.scalar_type() && in.mask.causal),
          "attention",
          "the term by distance, " + shape_of(in.distance_q_TBP) + " and " + shape_of(in.distance_r_SP) +
              ", does not fit");
    check(!in.slopes_H.defined() ||
              (in.slopes_H.sizes() == at::IntArrayRef({n.heads}) && in.slopes_H.scalar_type() == sums),
          "attention", "slopes " + shape_of(in.slopes_H) + " are not one for each head, in the type of sums");
    const bool by_distance = in.distance_q_TBP.defined() || in.distance_bias_HS.defined();
    check(!by_distance || !in.mask.spans.defined() || in.mask.spans.lists.is_cuda() ||
              in.mask.spans.end_at_queries(n.steps, n.keys(), in.mask.ahead),
          "attention", "terms by distance go with key spans that are a window alone");
    check(!in.distance_bias_HS.defined() || (in.distance_bias_HS.sizes() == at::IntArrayRef({n.heads, n.keys()}) &&
                                             in.distance_bias_HS.scalar_type() == sums && in.mask.causal),
          "attention",
          "numbers by distance " + shape_of(in.distance_bias_HS) + " are not [H][S], in the type of sums, of " +
              std::to_string(n.heads) + " heads and " + std::to_string(n.keys()) + " keys");
    check(!in.key_bias_BHS.defined() || (in.key_bias_BHS.sizes() == at::IntArrayRef({n.batch, n.heads, n.keys()}) &&
                                         in.key_bias_BHS.scalar_type() == at::kDouble && in.mask.causal),
          "attention",
          "numbers of keys " + shape_of(in.key_bias_BHS) + " are not [B][H][S], in fp64, of " +
              std::to_string(n.batch) + " rows, " + std::to_string(n.heads) + " heads and " + std::to_string(n.keys()) +
              " keys");
    check_mask(in.mask, n.of_mask(), "attention");
}

// A part of a packed tensor as rows of heads; part 0 of [queries,] keys, values.
template <class S> kernels::AttentionRows<S> rows_of(const Tensor& packed, int64_t part, const Sizes& n) {
    if (!packed.defined()) return {};
    return {pointer<std::remove_const_t<S>>(packed) + part * n.width, packed.stride(0), packed.stride(1),
            n.width / n.heads};
}

template <class S> kernels::AttentionRows<S> values_of(const Tensor& packed, int64_t part, const Sizes& n) {
    return n.shared() ? kernels::AttentionRows<S>() : rows_of<S>(packed, part, n);
}

// The same for all batch rows.
template <class S> kernels::AttentionRows<const S> distance_rows(const Tensor& r_SP, const Sizes& n) {
    if (!r_SP.defined()) return {};
    return {pointer<S>(r_SP), r_SP.stride(0), 0, n.width / n.heads};
}

template <class S>
kernels::AttentionForward<S> forward_args(const AttentionInput& in, const Tensor& out, const Tensor& probabilities,
                                          const Tensor& lse) {
    const Sizes n(in);
    const bool packed = !in.q_TBP.defined();
    return {mask_args(in.mask, n.of_mask()),
            n.width / n.heads,
            n.memory,
            kernels::Compute<S>(n.scale()),
            rows_of<const S>(packed ? in.kv_TBX : in.q_TBP, 0, n),
            rows_of<const S>(in.kv_TBX, packed ? 1 : 0, n),
            values_of<const S>(in.kv_TBX, packed ? 2 : 1, n),
            rows_of<const S>(in.memory_MBX, 0, n),
            values_of<const S>(in.memory_MBX, 1, n),
            rows_of<S>(out, 0, n),
            pointer<S>(probabilities),
            pointer<kernels::Compute<S>>(lse),
            rows_of<const S>(in.distance_q_TBP, 0, n),
            distance_rows<S>(in.distance_r_SP, n),
            kernels::Compute<S>(in.soft_cap),
            pointer<kernels::Compute<S>>(in.slopes_H),
            pointer<double>(in.key_bias_BHS),
            pointer<kernels::Compute<S>>(in.distance_bias_HS)};
}

// For profiles: products over the visible pairs, and the tensors that are read or written.
template <class S>
void count_work(const kernels::AttentionForward<S>& args, int products, std::initializer_list<Tensor> touched) {
    if (!profiling()) return;
    double bytes = 0;
    for (const Tensor& each : touched)
        if (each.defined()) bytes += double(each.nbytes());
    add_work(2 * products * double(args.size) * kernels::attention_pairs(args.mask), bytes);
}

struct AttentionNode : torch::autograd::Node {
    AttentionInput in;
    Tensor probabilities, lse;

    std::string name() const override { return "lithe::attention backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(in.kv_TBX.defined(), "attention", "backward was run twice through a graph that was freed");
        Tensor d_lse = gradients.size() > 1 ? gradients[1] : Tensor();
        if (!gradients[0].defined() && !d_lse.defined()) return variable_list(7);
        const Sizes n(in);
        Tensor d_out = gradients[0].defined() ? gradients[0].contiguous()
                                              : at::zeros({n.steps, n.batch, n.width}, in.kv_TBX.options());
        if (d_lse.defined()) d_lse = d_lse.contiguous();
        const bool packed = !in.q_TBP.defined();
        Tensor dq = packed ? Tensor() : at::empty_like(in.q_TBP, at::MemoryFormat::Contiguous);
        Tensor dkv = at::empty_like(in.kv_TBX, at::MemoryFormat::Contiguous), d_memory;
        if (in.memory_MBX.defined() && task_should_compute_output(2))
            d_memory = at::empty_like(in.memory_MBX, at::MemoryFormat::Contiguous);
        const auto sums = in.kv_TBX.options().dtype(compute_type(in.kv_TBX.scalar_type()));
        Tensor d_distance_q, d_rows;  // of every batch row
        if (in.distance_q_TBP.defined()) {
            d_distance_q = at::empty_like(in.distance_q_TBP, at::MemoryFormat::Contiguous);
            d_rows = at::empty({n.batch, n.heads, n.keys(), n.width / n.heads}, sums);
        }
        Tensor d_key_bias, d_distance_bias;
        if (in.key_bias_BHS.defined()) d_key_bias = at::empty({n.batch, n.heads, n.keys()}, sums);
        if (in.distance_bias_HS.defined()) d_distance_bias = at::empty({n.batch, n.heads, n.keys()}, sums);
        for_storage(in.kv_TBX.scalar_type(), "attention", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            const kernels::AttentionBackward<S> args{forward_args<S>(in, Tensor(), probabilities, lse),
                                                     rows_of<const S>(d_out, 0, n),
                                                     rows_of<S>(packed ? dkv : dq, 0, n),
                                                     rows_of<S>(dkv, packed ? 1 : 0, n),
                                                     values_of<S>(dkv, packed ? 2 : 1, n),
                                                     rows_of<S>(d_memory, 0, n),
                                                     values_of<S>(d_memory, 1, n),
                                                     rows_of<S>(d_distance_q, 0, n),
                                                     pointer<kernels::Compute<S>>(d_rows),
                                                     pointer<kernels::Compute<S>>(d_lse),
                                                     pointer<kernels::Compute<S>>(d_key_bias),
                                                     pointer<kernels::Compute<S>>(d_distance_bias)};
            kernels::attention_backward<S>(args);
            count_work(args.forward, d_rows.defined() ? 6 : 4,
                       {d_out, in.q_TBP, in.kv_TBX, in.memory_MBX, dq, dkv, d_memory, probabilities, d_rows});
        });
        Tensor d_distance_r;
        if (d_rows.defined())
            d_distance_r =
                d_rows.sum(0).transpose(0, 1).reshape({n.keys(), n.width}).to(in.distance_r_SP.scalar_type());
        if (d_key_bias.defined()) d_key_bias = d_key_bias.to(at::kDouble);
        if (d_distance_bias.defined()) d_distance_bias = d_distance_bias.sum(0);
        return {dq, dkv, d_memory, d_distance_q, d_distance_r, d_key_bias, d_distance_bias};
    }

    void release_variables() override {
        in = {};
        probabilities.reset();
        lse.reset();
    }
};

Tensor rows_side_by_side(const Tensor& x) {
    if (!x.defined()) return x;
    Tensor plain = x.detach();
    return plain.stride(-1) == 1 ? plain : plain.contiguous();
}

// A window over many keys is worked on by blocks of queries, each with the keys that it sees.
bool narrow(const AttentionInput& in, const Sizes& n) {
    constexpr int64_t kManyKeys = 1024, kShare = 4;
    return in.mask.causal && in.mask.window >= 0 && !in.mask.spans.defined() && n.keys() >= kManyKeys &&
           kShare * (in.mask.window + in.mask.ahead + 1) <= n.keys();
}

AttentionOutput fused(const AttentionInput& input, bool with_lse) {
    AttentionInput in = input;
    for (Tensor* each : {&in.q_TBP, &in.kv_TBX, &in.memory_MBX, &in.distance_q_TBP, &in.distance_r_SP})
        *each = rows_side_by_side(*each);
    for (Tensor* each : {&in.key_bias_BHS, &in.distance_bias_HS})
        if (each->defined()) *each = each->detach().contiguous();
    const Sizes n(in);
    if (narrow(in, n)) in.mask.spans = window_spans(n.steps, n.keys(), in.mask.window, in.mask.ahead);
    const bool differentiate = needs_gradient(input.q_TBP, input.kv_TBX, input.memory_MBX, input.distance_q_TBP,
                                              input.distance_r_SP, input.key_bias_BHS, input.distance_bias_HS);
    auto like = in.kv_TBX.options();
    Tensor out = at::empty({n.steps, n.batch, n.width}, like), probabilities, lse;
    if (differentiate || with_lse)
        lse = at::empty({n.batch * n.heads, n.steps}, like.dtype(compute_type(in.kv_TBX.scalar_type())));
    if (differentiate) {
        const bool kept = keeps_probabilities(n.steps, n.keys(), int64_t(in.kv_TBX.element_size()));
        if (kept && !in.mask.spans.defined() && in.soft_cap == 0)
            probabilities = at::empty({n.batch * n.heads, n.steps, kernels::attention_row(n.keys())}, like);
    }
    for_storage(in.kv_TBX.scalar_type(), "attention", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        const auto args = forward_args<S>(in, out, probabilities, lse);
        kernels::attention_forward<S>(args);
        count_work(args, in.distance_q_TBP.defined() ? 3 : 2, {in.q_TBP, in.kv_TBX, in.memory_MBX, out, probabilities});
    });
    if (differentiate) {
        auto node = make_node<AttentionNode>(input.q_TBP, input.kv_TBX, input.memory_MBX, input.distance_q_TBP,
                                             input.distance_r_SP, input.key_bias_BHS, input.distance_bias_HS);
        node->in = in;
        node->probabilities = probabilities;
        node->lse = lse.detach();
        if (with_lse) torch::autograd::set_history({out, lse}, node);
        else torch::autograd::set_history(out, node);
    }
    return {out, with_lse ? lse : Tensor()};
}

// Queries [T][B][P], keys and values [S][B][P].
struct Operands {
    Tensor q, k, v;
    Operands(const AttentionInput& in, const Sizes& n) {
        Tensor kv = in.kv_TBX;
        q = in.q_TBP;
        if (!q.defined()) {
            q = kv.narrow(2, 0, n.width);
            kv = kv.narrow(2, n.width, 2 * n.width);
        }
        if (n.memory > 0) kv = at::cat({in.memory_MBX, kv});
        k = kv.narrow(2, 0, n.width);
        v = n.shared() ? k : kv.narrow(2, n.width, n.width);
    }
};

// Products by distance of queries, added to those of keys, [B H][T][S].
Tensor with_distances(const Tensor& scores, const AttentionInput& in, const Sizes& n) {
    const int64_t size = n.width / n.heads;
    const Tensor by_head = in.distance_q_TBP.reshape({n.steps, n.batch, n.heads, size})
                               .permute({2, 1, 0, 3})
                               .reshape({n.heads, n.batch * n.steps, size});
    const Tensor r = in.distance_r_SP.reshape({n.keys(), n.heads, size}).permute({1, 2, 0});
    return add_shifted_(scores, at::bmm(by_head, r));
}

// Numbers by distance [H][S] as those of queries and keys, [H][T][S].
Tensor spread(const Tensor& of_distances_HS, const Sizes& n) {
    const auto places = at::TensorOptions(at::kLong).device(of_distances_HS.device());
    const Tensor rows = at::arange(n.keys(), places) + (n.steps - 1 - at::arange(n.steps, places)).unsqueeze(1);
    return of_distances_HS.index_select(1, rows.clamp_max(n.keys() - 1).flatten()).unflatten(1, {n.steps, n.keys()});
}

// Scores [B H][T][S] under their scale and the cap, with what they gain or lose.
Tensor bent(const Tensor& scores, const AttentionInput& in, const Sizes& n) {
    Tensor s = scores * n.scale();
    if (in.soft_cap > 0) s = at::tanh(s / in.soft_cap) * in.soft_cap;
    s = s.view({n.batch, n.heads, n.steps, n.keys()});
    if (in.slopes_H.defined()) {
        const auto places = in.slopes_H.options().requires_grad(false);
        const Tensor distances =
            at::arange(n.keys() - n.steps, n.keys(), places).unsqueeze(1) - at::arange(n.keys(), places);
        s = s - (in.slopes_H.view({n.heads, 1, 1}) * distances).to(s.scalar_type());
    }
    if (in.distance_bias_HS.defined()) s = s + spread(in.distance_bias_HS, n).to(s.scalar_type());
    if (in.key_bias_BHS.defined()) {
        const Tensor own = in.key_bias_BHS.narrow(2, n.keys() - n.steps, n.steps);
        s = s + (in.key_bias_BHS.unsqueeze(2) - own.unsqueeze(3)).to(s.scalar_type());
    }
    return s.flatten(0, 1);
}

// Two products and a softmax, with the scores in memory.
AttentionOutput unfused(const AttentionInput& in, bool with_lse) {
    const Sizes n(in);
    const Operands of(in, n);
    const Tensor k = heads_first(of.k, n.heads), v = n.shared() ? k : heads_first(of.v, n.heads);
    Tensor scores = at::bmm(heads_first(of.q, n.heads), k.transpose(1, 2));
    if (in.distance_q_TBP.defined()) scores = with_distances(scores, in, n);
    double scale = n.scale();
    if (in.soft_cap > 0 || in.slopes_H.defined() || in.distance_bias_HS.defined() || in.key_bias_BHS.defined()) {
        scores = bent(scores, in, n);
        scale = 1;
    }
    SoftmaxOutput softmax;
    if (with_lse) softmax = masked_softmax_with_lse_(scores, in.mask, n.heads, scale);
    else softmax.probabilities = masked_softmax_(scores, in.mask, n.heads, scale);
    const Tensor p = dropout_of_heads(softmax.probabilities, n.heads, in.dropout, in.dropout_key);
    return {heads_last(at::bmm(p, v), n.heads), softmax.lse};
}

// Whether LibTorch's FlashAttention-2 (Dao 2023) for GPUs does the same: its causal mask ends at the last key like
// ours.
bool flashes(const AttentionInput& in) {
    constexpr int64_t kLargestHead = 256, kHeadMultiple = 8;
    const Sizes n(in);
    const int64_t size = n.width / n.heads;
    return in.kv_TBX.is_cuda() && in.kv_TBX.scalar_type() == at::kBFloat16 && n.steps * n.batch * n.keys() > 0 &&
           in.dropout == 0 && !in.mask.hidden_BS.defined() && !in.mask.first_BT.defined() &&
           !in.distance_q_TBP.defined() && in.soft_cap == 0 && !in.slopes_H.defined() &&
           !in.distance_bias_HS.defined() && !in.key_bias_BHS.defined() && in.mask.ahead == 0 &&
           !in.mask.spans.defined() && size <= kLargestHead && size % kHeadMultiple == 0;
}

Tensor flash(const AttentionInput& in) {
    const Sizes n(in);
    const Operands of(in, n);
    const auto by_head = [&](const Tensor& x) { return x.unflatten(2, {n.heads, n.width / n.heads}).transpose(0, 1); };
    std::optional<int64_t> back, ahead;
    if (in.mask.window >= 0) {
        back = in.mask.window;
        ahead = 0;
    }
    const Tensor out =
        std::get<0>(at::_flash_attention_forward(by_head(of.q), by_head(of.k), by_head(of.v), {}, {}, n.steps, n.keys(),
                                                 0.0, in.mask.causal, false, n.scale(), back, ahead));
    return out.transpose(0, 1).flatten(2);
}

}  // namespace

bool keeps_probabilities(int64_t steps, int64_t keys, int64_t element_size) {
    return steps * kernels::attention_row(keys) * element_size <= kKeptBytes;
}

bool fuses_attention(const AttentionInput& input) {
    const Sizes n(input);
    const bool few = n.steps < kFewQueries && !input.mask.spans.defined();
    return !input.kv_TBX.is_cuda() && input.dropout == 0 && !few && n.batch > 0 && n.keys() > 0;
}

Tensor attention(const AttentionInput& input) {
    ProfileScope scope("lithe::attention");
    check_shapes(input);
    if (fuses_attention(input)) return fused(input, false).out_TBP;
    return flashes(input) ? flash(input) : unfused(input, false).out_TBP;
}

AttentionOutput attention_with_lse(const AttentionInput& input) {
    ProfileScope scope("lithe::attention");
    check_shapes(input);
    AttentionOutput out = fuses_attention(input) ? fused(input, true) : unfused(input, true);
    const Sizes n(input);
    out.lse = out.lse.view({n.batch, n.heads, n.steps}).permute({2, 0, 1});
    return out;
}

// Of numbers by head [T][B][H] with each head's [P / H].
static Tensor times_by_head(const Tensor& x_TBP, const Tensor& by_TBH) {
    const int64_t heads = by_TBH.size(2);
    return (x_TBP.unflatten(2, {heads, x_TBP.size(2) / heads}) * by_TBH.to(x_TBP.scalar_type()).unsqueeze(3))
        .flatten(2);
}

Tensor with_sinks(const AttentionOutput& attended, const Tensor& sinks_H) {
    return times_by_head(attended.out_TBP, at::sigmoid(attended.lse - sinks_H.to(attended.lse.scalar_type())));
}

Tensor joined(const std::vector<AttentionOutput>& parts) {
    std::vector<Tensor> all;
    for (const AttentionOutput& each : parts) all.push_back(each.lse);
    const Tensor shares = at::softmax(at::stack(all), 0);
    Tensor out;
    for (size_t i = 0; i < parts.size(); ++i) {
        const Tensor part = times_by_head(parts[i].out_TBP, shares[int64_t(i)]);
        out = out.defined() ? out + part : part;
    }
    return out;
}

}  // namespace lithe::ops
