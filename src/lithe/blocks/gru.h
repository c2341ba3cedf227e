// GRU (Cho et al. 2014), in torch.nn.GRU's form: a baseline. The output replaces the input.
#pragma once

#include "lithe/blocks/options.h"

namespace lithe {

struct GruValues {
    static GruValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor&) {}
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class GruBlock : public Block {
 public:
    GruBlock(const GruValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    Parameter w_input_, w_state_, b_input_, b_state_;
};

}  // namespace lithe
