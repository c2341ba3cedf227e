// LSTM (Hochreiter, Schmidhuber 1997): a baseline. The output replaces the input.
#pragma once

#include "lithe/blocks/gated_weights.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct LstmValues {
    double forget_bias = 1;
    static LstmValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class LstmBlock : public Block {
 public:
    LstmBlock(const LstmValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    GatedWeights weights_;
};

}  // namespace lithe
