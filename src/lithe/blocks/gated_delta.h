// Gated DeltaNet (Yang et al. 2025, "Gated Delta Networks: Improving Mamba2 with Delta Rule", section 3.4; the layer of
// flash-linear-attention, fla/layers/gated_deltanet.py):
//
//   o as in blocks/delta_projections.h, with a decay for each head: g = -e^a softplus(x W_a^T + b)
//   delta = (rms_norm_of_heads(o) silu(x W_z^T)) W_o^T
#pragma once

#include "lithe/blocks/delta_projections.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct GatedDeltaValues : DeltaValues {
    static GatedDeltaValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
};

class GatedDeltaBlock : public Block {
 public:
    GatedDeltaBlock(const GatedDeltaValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    DeltaProjections in_;
    Parameter decay_, dt_bias_, log_a_, gate_, out_;
    RmsNorm norm_;
};

}  // namespace lithe
