// ATR, the addition-subtraction twin-gated network (Zhang et al. 2018, "Simplifying Neural Machine Translation with
// Addition-Subtraction Twin-Gated Recurrent Networks"; bzhangGo/lrn), LRN's forerunner. The output replaces the input.
//
//   p = x W^T + b, q = h_{t-1} U^T + b'         h_t = tanh(s(p + q) p + s(p - q) h_{t-1})
#pragma once

#include "lithe/blocks/options.h"

namespace lithe {

struct AtrValues {
    static AtrValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor&) {}
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class AtrBlock : public Block {
 public:
    AtrBlock(const AtrValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    Parameter w_input_, w_state_, b_input_, b_state_;
};

}  // namespace lithe
