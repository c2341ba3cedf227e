// Linear attention (Katharopoulos et al. 2020, "Transformers are RNNs", sections 3.2 to 3.4), with phi(x) = elu(x) + 1:
//
//   [q, k, v] = x W^T + b        o_i = phi(q_i)^T S_i / (phi(q_i) . z_i + 1e-6)        delta = o W_o^T + b_o
//   causal: S_i and z_i are the sums of phi(k_j) v_j^T and of phi(k_j) over j <= i; bidirectional: over all j
//
// z is one more column of S, of ones in v.
#pragma once

#include "lithe/blocks/attention_projections.h"
#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct LinearAttentionValues {
    int64_t heads = 1;
    bool bias = true;
    static LinearAttentionValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class LinearAttentionBlock : public Block {
 public:
    LinearAttentionBlock(const LinearAttentionValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    MatrixStateCell cell_;  // its values: a head's, and a one
    StackedProjection qkv_, out_;
};

}  // namespace lithe
