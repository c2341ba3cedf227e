#include "lithe/ops/relative_attention.h"

#include <cmath>

#include "lithe/ops/attention.h"
#include "lithe/ops/dropout.h"
#include "lithe/ops/heads.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

// The visible part of [H][B T][S] by distance as [B][H][T][S - 1] by key, and its last column's one visible entry
// [B][H].
struct Shifted {
    Tensor most, last;
    Shifted(const Tensor& by_distance, int64_t batch) {
        const int64_t heads = by_distance.size(0), steps = by_distance.size(1) / batch, keys = by_distance.size(2);
        Tensor flat = by_distance.view({heads, batch, steps * keys}).permute({1, 0, 2});
        most = flat.narrow(2, steps - 1, steps * (keys - 1)).unflatten(2, {steps, keys - 1});
        last = flat.select(2, steps * keys - 1);
    }
};

void add_into(const Tensor& scores, const Shifted& shifted, int64_t batch) {
    const int64_t steps = scores.size(1), keys = scores.size(2);
    Tensor all = scores.view({batch, scores.size(0) / batch, steps, keys});
    all.narrow(3, 0, keys - 1).add_(shifted.most);
    all.select(2, steps - 1).select(2, keys - 1).add_(shifted.last);
}

struct ShiftNode : torch::autograd::Node {
    int64_t batch = 1;

    std::string name() const override { return "lithe::add_shifted backward"; }

    variable_list apply(variable_list&& gradients) override {
        const Tensor& d = gradients[0];
        if (!d.defined()) return {Tensor(), Tensor()};
        const int64_t heads = d.size(0) / batch, steps = d.size(1), keys = d.size(2);
        Tensor d_by_distance = at::zeros({heads, batch * steps, keys}, d.options());
        Shifted into(d_by_distance, batch);
        Tensor all = d.view({batch, heads, steps, keys});
        into.most.copy_(all.narrow(3, 0, keys - 1));
        into.last.copy_(all.select(2, steps - 1).select(2, keys - 1));
        return {d, d_by_distance};
    }
};

}  // namespace

Tensor add_shifted_(const Tensor& scores, const Tensor& by_distance) {
    ProfileScope scope("lithe::add_shifted");
    check(scores.dim() == 3 && by_distance.dim() == 3 && by_distance.size(0) > 0 &&
              scores.size(0) % by_distance.size(0) == 0 && scores.size(2) == by_distance.size(2) &&
              scores.size(0) / by_distance.size(0) * scores.size(1) == by_distance.size(1),
          "relative attention",
          "products by distance " + shape_of(by_distance) + " do not fit scores " + shape_of(scores));
    const int64_t batch = scores.size(0) / by_distance.size(0);
    Tensor out = scores.detach();
    add_into(out, Shifted(by_distance.detach().contiguous(), batch), batch);
    if (needs_gradient(scores, by_distance)) {
        auto node = make_node<ShiftNode>(scores, by_distance);
        node->batch = batch;
        torch::autograd::set_history(out, node);
    }
    return out;
}

Tensor relative_attention(const RelativeAttentionInput& in) {
    ProfileScope scope("lithe::relative_attention");
    check(in.qkv_TBX.dim() == 3 && in.qkv_TBX.size(2) % (3 * in.heads) == 0, "relative attention",
          "queries, keys and values " + shape_of(in.qkv_TBX) + " do not hold " + std::to_string(in.heads) + " heads");
    const int64_t steps = in.qkv_TBX.size(0), width = in.qkv_TBX.size(2) / 3;
    const int64_t keys = steps + (in.memory_MBX.defined() ? in.memory_MBX.size(0) : 0);
    check(in.mask.causal, "relative attention", "distances are counted back from the query: the mask must be causal");
    check(in.r_SP.sizes() == at::IntArrayRef({keys, width}), "relative attention",
          "positions " + shape_of(in.r_SP) + " are not [S][P] of " + std::to_string(keys) + " keys");
    const Tensor q = in.qkv_TBX.narrow(2, 0, width), kv = in.qkv_TBX.narrow(2, width, 2 * width);
    auto shifted_queries = [&](const Tensor& by) { return q + by.to(q.scalar_type()); };
    return attention({.q_TBP = shifted_queries(in.u_P),
                      .kv_TBX = kv,
                      .memory_MBX = in.memory_MBX,
                      .distance_q_TBP = shifted_queries(in.v_P),
                      .distance_r_SP = in.r_SP,
                      .mask = in.mask,
                      .heads = in.heads,
                      .dropout = in.dropout,
                      .dropout_key = in.dropout_key});
}

}  // namespace lithe::ops
