// All-attention layer (Sukhbaatar et al. 2019, "Augmenting Self-attention with Persistent Memory";
// facebookresearch/adaptive-span): attention with learned spans, and in place of a feed-forward layer N learned keys
// and values for each head, which every query sees.
//
//   one softmax over the keys of blocks/adaptive_span.h and of q_i . (sqrt(d/H) m_r) / sqrt(d/H), r < N; spans' masks
//   fall on the former alone; delta = concat_h (sum_j a_ij v_j + sum_r a_ir sqrt(N) u_r) W_o^T
//
// m_r begin with deviation 1 / sqrt(d/H), u_r with 1 / sqrt(N).
#pragma once

#include "lithe/blocks/adaptive_span.h"

namespace lithe {

struct AllAttentionValues : AdaptiveSpanValues {
    int64_t vectors = 0;
    static AllAttentionValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
};

class AllAttentionBlock : public AdaptiveSpanBlock {
 public:
    AllAttentionBlock(const AllAttentionValues& values, const BlockSite& site);
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 protected:
    Tensor attended(const ops::AttentionInput& in, int64_t back) const override;

 private:
    int64_t vectors_;
    Parameter keys_, values_of_keys_;
};

}  // namespace lithe
