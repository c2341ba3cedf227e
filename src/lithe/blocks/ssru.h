// SSRU, the simpler simple recurrent unit, in place of a decoder's self-attention (Kim et al. 2019, "From Research to
// Production and Back: Ludicrously Fast Neural Machine Translation", section 3.1; Marian, rnn/cells.h and
// layers_new/rnn.h).
//
//   v, f = x W^T            c_t = s(f + b) c_{t-1} + (1 - s(f + b)) v            h_t = max(0, c_t)
//   y = h W_o^T + b_o with `projection`, else h
//
// W [2 d][d], b [d]. Layer norm falls on v and f (of f, b is its bias). The dropout of x has one mask for all steps and
// rows.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/recurrent_cell.h"

namespace lithe {

struct SsruValues {
    bool projection = false;
    bool layer_norm = false;
    double dropout = 0;
    UpdateValues updates;
    static SsruValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig&, const std::string& where, Problems& problems) const {
        updates.check(where, problems);
    }
};

class SsruBlock : public Block {
 public:
    SsruBlock(const SsruValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    Tensor normed(const Tensor& u) const;

    SsruValues values_;
    int64_t width_;
    double epsilon_;
    Parameter w_, bias_, gains_, w_out_, bias_out_;
    UpdateGate gate_;
};

}  // namespace lithe
