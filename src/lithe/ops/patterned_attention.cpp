#include "lithe/ops/patterned_attention.h"

#include <algorithm>

namespace lithe::ops {
namespace {

// The nearer of two bounds, of which -1 is none.
int64_t nearer(int64_t a, int64_t b) { return a < 0 ? b : b < 0 ? a : std::min(a, b); }

// [T][B][X] as rows by residue, [T / stride][stride B][X].
Tensor by_residue(const Tensor& x, int64_t stride) {
    if (!x.defined()) return x;
    return x.reshape({x.size(0) / stride, stride * x.size(1), x.size(2)});
}

// [B][S] of numbers by key or query.
Tensor marks_by_residue(const Tensor& x_BS, int64_t stride) {
    if (!x_BS.defined()) return x_BS;
    return x_BS.unflatten(1, {x_BS.size(1) / stride, stride}).permute({2, 0, 1}).flatten(0, 1).contiguous();
}

// A first key, counted in keys of a query's own residue.
Tensor first_by_residue(const Tensor& first_BT, int64_t stride) {
    if (!first_BT.defined()) return first_BT;
    const Tensor residues = at::arange(first_BT.size(1), first_BT.options()).remainder(stride);
    const Tensor counted = (first_BT - residues + (stride - 1)).div(stride, "floor").to(at::kInt);
    return marks_by_residue(counted, stride);
}

AttentionOutput residues(AttentionInput in, int64_t stride, int64_t back, int64_t ahead) {
    const int64_t steps = in.kv_TBX.size(0), batch = in.kv_TBX.size(1);
    for (Tensor* each : {&in.q_TBP, &in.kv_TBX, &in.memory_MBX}) *each = by_residue(*each, stride);
    in.mask.hidden_BS = marks_by_residue(in.mask.hidden_BS, stride);
    in.mask.first_BT = first_by_residue(in.mask.first_BT, stride);
    if (in.slopes_H.defined()) in.slopes_H = in.slopes_H * stride;
    const int64_t window = in.mask.window < 0 ? -1 : in.mask.window / stride;
    const AttentionOutput out = local_attention(in, nearer(back, window), ahead);
    return {out.out_TBP.reshape({steps, batch, -1}), out.lse.reshape({steps, batch, in.heads})};
}

int64_t memory_of(const AttentionInput& in) { return in.memory_MBX.defined() ? in.memory_MBX.size(0) : 0; }

}  // namespace

AttentionOutput local_attention(AttentionInput in, int64_t back, int64_t ahead) {
    const int64_t steps = in.kv_TBX.size(0), keys = steps + memory_of(in);
    in.mask.causal = true;
    in.mask.ahead = ahead;
    in.mask.window = nearer(back, in.mask.window);
    constexpr int64_t kFew = 128;  // of which one block of queries is made, so that all keys are packed once
    const bool few = steps <= kFew;
    if (!in.kv_TBX.is_cuda() && (in.mask.window >= 0 || few))
        in.mask.spans = window_spans(steps, keys, in.mask.window < 0 ? keys : in.mask.window, ahead);
    return attention_with_lse(in);
}

AttentionOutput dilated_attention(const AttentionInput& in, int64_t stride, int64_t back, int64_t ahead) {
    if (stride == 1) return local_attention(in, back, ahead);
    const int64_t steps = in.kv_TBX.size(0), memory = memory_of(in);
    if (steps % stride == 0 && memory % stride == 0) return residues(in, stride, back, ahead);
    AttentionInput listed = in;
    listed.mask.causal = true;
    listed.mask.ahead = ahead * stride;
    listed.mask.spans = dilated_spans(steps, steps + memory, stride, back, ahead).to(in.kv_TBX.device());
    return attention_with_lse(listed);
}

KeySpans dilated_spans(int64_t queries, int64_t keys, int64_t stride, int64_t back, int64_t ahead) {
    KeySpanLists lists;
    for (int64_t i = 0; i < queries; ++i) {
        const int64_t position = keys - queries + i;
        const int64_t before = nearer(back, position / stride),
                      behind = std::min(ahead, (keys - 1 - position) / stride);
        lists.block(i, i + 1);
        for (int64_t k = -before; k <= behind; ++k) lists.span(position + k * stride, position + k * stride + 1);
    }
    lists.end_list();
    return lists.get(false, false);
}

}  // namespace lithe::ops
