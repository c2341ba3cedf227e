// xLSTM's sLSTM layer (Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", section 2.2 and figure 9;
// NX-AI/xlstm, xlstm/blocks/slstm/layer.py, its defaults):
//
//   y = silu(convolution(x)), short, causal, depthwise
//   i, f = products of y, z, o = products of x, each within its head; the recurrence with a matrix for each head
//   delta = gain * layer_norm(h) of each head                          cell and its stabiliser: kernels/gated/gated.h
//
// H = heads of width D = d / H; w and w_state [H][4][D][D], planes i, f, z, o; bias [H][4][D]. At the start w_state is
// 0 and biases of f fall from 5 to -7 over the units of a head, the more evenly the deeper the layer. The norm before
// it, the skip and the gated feed-forward behind (`f` with activation "geglu", inner 4/3 width) are the layout's.
#pragma once

#include "lithe/blocks/options.h"
#include "lithe/blocks/short_convolution.h"

namespace lithe {

struct SlstmValues {
    int64_t heads = 4;
    int64_t taps = 4;
    static SlstmValues defaults(const ModelConfig&) { return {}; }
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class SlstmBlock : public Block {
 public:
    SlstmBlock(const SlstmValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    Tensor gates(const Tensor& convolved_TBD, const Tensor& x_TBD) const;  // [T][B][H 4 D]

    int64_t width_, heads_;
    double epsilon_;
    ShortConvolution convolution_;
    Parameter w_, w_state_, bias_, gain_;
};

}  // namespace lithe
