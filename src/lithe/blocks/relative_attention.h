// Attention with relative positions and memory: Transformer-XL (Dai et al. 2019, section 3; what the code says where
// the paper does not: docs/blocks.md). Causal.
//
//   [Q, K, V] of [Mem; x] as in blocks/attention.h;  R_c = sinusoid(distance) W_r^T;  u, v: one pair for all layers, or
//   one each score = ((Q_i + u) . K_j + (Q_i + v) . R_{i - j}) / sqrt(d/H)
#pragma once

#include "lithe/blocks/attention.h"

namespace lithe {

class RelativeAttentionBlock : public Block {
 public:
    RelativeAttentionBlock(const AttentionValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    State skip(const Tensor& x_TBD, const State& state, const Call& call) const override {
        return skipped_attention(x_TBD, state, call, [&](const Tensor& normed) { return qkv_(normed, width_); });
    }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double flops_without_input_gradient(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    AttentionValues values_;
    int64_t width_;
    double dropout_;
    StackedProjection qkv_, positions_, out_;
    Parameter u_, v_;
};

}  // namespace lithe
