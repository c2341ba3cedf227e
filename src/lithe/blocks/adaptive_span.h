// Attention whose heads learn how far back they look (Sukhbaatar et al. 2019, "Adaptive Attention Span in
// Transformers"; facebookresearch/adaptive-span). Causal.
//
//   a_ij = m_h(x) exp((q_i . k_j + q_i . p_x) / sqrt(d/H)) / sum over j,  m_h(x) = clamp((R + z_h - x) / R, 0, 1)
//   delta = concat_h (sum_j a_ij v_j) W_o^T,  z_h = S theta_h,  loss += penalty S mean_h theta_h
//
// x counts keys back from the nearest that is seen, 0 for that; it is the one before the query, or the query's own with
// `own_position`. p_x are S learned vectors, one table for all heads and layers of a stack. theta_h lies in [0, 1].
// Keys behind the farthest span of a layer, rounded up to whole blocks, are neither projected nor compared. A query
// that has no key gets zeros; the source starts with S zero vectors instead, which take part in the softmax.
#pragma once

#include "lithe/blocks/patterned_attention.h"
#include "lithe/ops/patterned_attention.h"

namespace lithe {

struct AdaptiveSpanValues : PatternedValues {
    int64_t span = 1024;
    int64_t ramp = 32;
    double initial = 0;
    double penalty = 2e-6;
    bool own_position = false;
    static AdaptiveSpanValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class AdaptiveSpanBlock : public Block {
 public:
    AdaptiveSpanBlock(const AdaptiveSpanValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    State skip(const Tensor& x_TBD, const State& state, const Call& call) const override;
    // With spans as they begin.
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 protected:
    // What heads make of their keys, and of what else they see.
    virtual Tensor attended(const ops::AttentionInput& in, int64_t back) const {
        return ops::local_attention(in, back, ahead()).out_TBP;
    }
    int64_t ahead() const { return values_.own_position ? 0 : -1; }

    int64_t heads_, width_;

 private:
    // A pass, or a cost's shape, whose memory is what the longest span sees of it.
    template <class T> T bounded(T all) const {
        all.memory = std::min(all.memory, values_.span - 1 - ahead());
        return all;
    }
    // Keys that a span of `share` shows, as many as are compared.
    int64_t seen(double share) const;
    // Terms by distance, of as many keys.
    void put_distances(ops::AttentionInput& in, int64_t keys, int64_t seen, const Tensor& shares_H) const;

    AdaptiveSpanValues values_;
    std::string name_;
    StackedProjection qkv_, out_;
    Parameter shares_, positions_;
};

}  // namespace lithe
