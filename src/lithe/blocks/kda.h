// Kimi delta attention (Kimi Team 2025, "Kimi Linear", section 3; the layer of flash-linear-attention,
// fla/layers/kda.py):
//
//   o as in blocks/delta_projections.h, with a decay for each channel of the key:
//   g = -e^a softplus(x W_1^T W_2^T + b), a for each head        delta = (rms_norm_of_heads(o) sigmoid(z)) W_o^T
//   z = x W_3^T W_4^T + b_z; both products are as narrow in between as the values of a head
#pragma once

#include "lithe/blocks/delta_projections.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct KdaValues : DeltaValues {
    static KdaValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
};

class KdaBlock : public Block {
 public:
    KdaBlock(const KdaValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    DeltaProjections in_;
    Parameter decay_in_, decay_out_, dt_bias_, log_a_, gate_in_, gate_out_, gate_bias_, out_;
    RmsNorm norm_;
};

}  // namespace lithe
