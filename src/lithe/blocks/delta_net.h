// DeltaNet (Schlag et al. 2021; Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence
// Length", section 3.4; the layer of flash-linear-attention, fla/layers/delta_net.py):
//
//   o as in blocks/delta_projections.h, without decay        delta = rms_norm_of_heads(o) W_o^T, or with a gate
//   delta = (rms_norm_of_heads(o) silu(x W_z^T)) W_o^T
#pragma once

#include "lithe/blocks/delta_projections.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct DeltaNetValues : DeltaValues {
    bool gate = false;
    static DeltaNetValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
};

class DeltaNetBlock : public Block {
 public:
    DeltaNetBlock(const DeltaNetValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    DeltaProjections in_;
    Parameter gate_, out_;
    RmsNorm norm_;
};

}  // namespace lithe
