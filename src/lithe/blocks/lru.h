// LRU, the linear recurrent unit, in its block (Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long
// Sequences", figure 1, sections 3.2-3.4 and appendix A; NicolasZucchet/minimal-LRU, lru/model.py):
//
//   lambda = exp(-exp(nu) + i exp(theta))        h_t = lambda h_{t-1} + exp(gamma) B x_t, complex
//   y_t = Re(C h_t) + D x_t                      delta = v s(g) of [g, v] = dropout(gelu(y)) W^T + b
//
// N = states: B [2 N][d], its real rows above its imaginary ones; C [d][2 N], Re C beside -Im C; D [d]; W [2 d][d];
// gelu in its tanh form. At the start lambda lies evenly in the ring r_min to r_max, with phases up to max_phase, and
// gamma = log sqrt(1 - |lambda|^2). The norm before it and the skip are the layout's.
#pragma once

#include "lithe/blocks/options.h"

namespace lithe {

struct LruValues {
    int64_t states = 0;
    double r_min = 0, r_max = 1, max_phase = 6.28;
    double dropout = 0;
    static LruValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class LruBlock : public Block {
 public:
    LruBlock(const LruValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    LruValues values_;
    int64_t width_;
    Parameter nu_, theta_, gamma_, b_, c_, d_, w_, bias_;
};

}  // namespace lithe
