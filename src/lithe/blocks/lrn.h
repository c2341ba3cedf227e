// LRN, the lightweight recurrent network (Zhang, Sennrich 2019, "A Lightweight Recurrent Network for Sequence
// Modeling", eq. 6-8; bzhangGo/lrn): gates without matrices in the loop. The output replaces the input.
//
//   p, q, r = x W^T + b         h_t = g(s(p + h_{t-1}) r + s(q - h_{t-1}) h_{t-1}),   g tanh or identity
//
// W [3 d][d], b [3][d].
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/recurrent_cell.h"

namespace lithe {

enum class LrnActivation { tanh, identity };
constexpr auto names_of(LrnActivation) {
    using enum LrnActivation;
    return std::to_array<Named<LrnActivation>>({{tanh, "tanh"}, {identity, "identity"}});
}

struct LrnValues {
    LrnActivation activation = LrnActivation::tanh;
    UpdateValues updates;
    static LrnValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string& where, Problems& problems) const {
        updates.check(where, problems);
    }
};

class LrnBlock : public Block {
 public:
    LrnBlock(const LrnValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    kernels::Cell cell_;
    int64_t width_;
    Parameter w_, bias_;
    UpdateGate gate_;
};

}  // namespace lithe
