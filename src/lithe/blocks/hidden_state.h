// Layers whose state is h alone, with a matrix in the loop: GRU, ATR. The output replaces the input.
#pragma once

#include "lithe/blocks/gated_weights.h"
#include "lithe/blocks/options.h"
#include "lithe/ops/hidden_loop.h"

namespace lithe {

// What a kind has of its own.
struct HiddenCell {
    int64_t planes;
    ops::HiddenLoopOutput (*run)(const ops::HiddenLoopInput&);
    void (*step)(const kernels::StepGates&, int64_t begin, int64_t end);  // in a program of single steps
};

// Kinds of such a layer without options.
struct HiddenValues {
    static HiddenValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor&) {}
    void check(const ModelConfig&, const std::string&, Problems&) const {}
};

class HiddenStateBlock : public Block {
 public:
    HiddenStateBlock(const HiddenCell& cell, const GatedWeights::Start& start, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    HiddenCell cell_;
    int64_t width_;
    GatedWeights weights_;
};

}  // namespace lithe
