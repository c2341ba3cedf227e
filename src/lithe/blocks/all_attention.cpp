#include "lithe/blocks/all_attention.h"

#include <cmath>

namespace lithe {

AllAttentionValues AllAttentionValues::defaults(const ModelConfig& model) {
    AllAttentionValues values;
    values.heads = model.heads;
    values.vectors = 2 * model.width;
    return values;
}

void AllAttentionValues::visit(FieldVisitor& v) {
    AdaptiveSpanValues::visit(v);
    v.field({.name = "vectors",
             .help = "learned keys and values of each head; default 2 x width",
             .minimum = 1,
             .maximum = 1 << 24},
            vectors);
}

AllAttentionBlock::AllAttentionBlock(const AllAttentionValues& values, const BlockSite& site)
    : AdaptiveSpanBlock(values, site),
      vectors_(values.vectors) {
    const int64_t size = width_ / heads_;
    const auto vectors = [&](const char* name, int64_t of) {
        const Init init = Init::normal(1 / std::sqrt(double(of)));
        return site.store.add({site.name + "." + name, {heads_ * vectors_, size}, Role::matrix, init, heads_});
    };
    keys_ = vectors("persistent_keys", size);
    values_of_keys_ = vectors("persistent_values", vectors_);
}

Tensor AllAttentionBlock::attended(const ops::AttentionInput& in, int64_t back) const {
    const int64_t steps = in.q_TBP.size(0), batch = in.q_TBP.size(1), size = width_ / heads_;
    const auto side_by_side = [&](const Parameter& vectors, int64_t of) {
        const Tensor by_head = vectors.tensor().view({heads_, vectors_, size}) * std::sqrt(double(of));
        return by_head.transpose(0, 1).reshape({vectors_, 1, width_});
    };
    // all rows' queries are those of one, since all see the same
    ops::AttentionInput persistent{
        .q_TBP = in.q_TBP.reshape({steps * batch, 1, width_}),
        .memory_MBX = at::cat({side_by_side(keys_, size), side_by_side(values_of_keys_, vectors_)}, 2),
        .heads = heads_};
    persistent.kv_TBX = persistent.memory_MBX.narrow(0, 0, 0);
    persistent.mask.causal = false;
    const ops::AttentionOutput far = ops::attention_with_lse(persistent);
    return ops::joined({ops::local_attention(in, back, ahead()),
                        {far.out_TBP.view({steps, batch, width_}), far.lse.reshape({steps, batch, heads_})}});
}

double AllAttentionBlock::flops_per_token(const CostShape& shape) const {
    return AdaptiveSpanBlock::flops_per_token(shape) + 4 * double(vectors_) * double(width_);
}

double AllAttentionBlock::activation_numbers_per_token(const CostShape& shape) const {
    const bool kept = ops::keeps_probabilities(shape.length * shape.batch, vectors_, shape.element_size);
    return AdaptiveSpanBlock::activation_numbers_per_token(shape) + 3 * double(width_) +
           (kept ? double(heads_) * double(vectors_) : 0);
}

}  // namespace lithe
