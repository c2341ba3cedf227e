// Griffin's recurrent block (De et al. 2024, "Griffin: Mixing Gated Linear Recurrences with Local Attention for
// Efficient Language Models", sections 2.3 and 2.4; transformers, RecurrentGemmaRecurrentBlock):
//
//   y = gelu(x W_y^T + b_y)                             z = convolution(x W_x^T + b_x), short, causal, depthwise
//   r, i = gates of z, products of `heads` blocks       log a = -8 softplus(L) s(r)
//   h_t = a h_{t-1} + sqrt(1 - a^2) s(i) z_t            out = (h y) W_o^T + b_o
//
// E = inner; W_y, W_x [E][d], gates [heads][2][E / heads][E / heads], L [E], W_o [d][E]; gelu in its tanh form. Where a
// document begins the root counts as 1, as in the code; a row without a state begins at the segment's first step,
// unless that is padding. At the start exp(-softplus(L)) spreads over [0.9, 0.999].
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/recurrent_cell.h"
#include "lithe/blocks/short_convolution.h"

namespace lithe {

struct RgLruValues {
    int64_t inner = 0;
    int64_t heads = 1;
    int64_t taps = 4;
    UpdateValues updates;
    static RgLruValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class RgLruBlock : public Block {
 public:
    RgLruBlock(const RgLruValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    Tensor gates(const Tensor& z_TBE) const;  // [T][B][2 E]: r, i, without biases
    Tensor rates() const;                     // [E], below 0: log a where the gate is 1

    RgLruValues values_;
    int64_t width_;
    Parameter w_y_, b_y_, w_x_, b_x_, w_gates_, b_gates_, l_, w_out_, b_out_;
    ShortConvolution convolution_;
    UpdateGate gate_;
};

}  // namespace lithe
