// Multi-scale retention (Sun et al. 2023, "Retentive Network", sections 2.1 and 2.2; the layer of
// flash-linear-attention, fla/layers/multiscale_retention.py):
//
//   [q, k, v] = x W^T, q and k turned by position        S_t = (1 - 2^(-5-h)) S_{t-1} + k_t v_t^T for head h
//   o_t = S_t^T q_t / sqrt(key of a head)        delta = (rms_norm_of_heads(o) silu(x W_z^T)) W_o^T
#pragma once

#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"
#include "lithe/ops/rotary.h"

namespace lithe {

struct RetnetValues {
    int64_t heads = 1;
    int64_t key_width = 0, value_width = 0;  // of all heads
    static RetnetValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class RetnetBlock : public Block {
 public:
    RetnetBlock(const RetnetValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    // All of a head is turned.
    ops::Rotary rotary() const { return {.size = cell_.key, .turned = cell_.key}; }
    // log of what head h keeps in a step
    static double log_decay(int64_t head) { return std::log1p(-std::exp2(-5 - double(head))); }

    int64_t width_;
    MatrixStateCell cell_;
    Parameter qkv_, gate_, out_;
    RmsNorm norm_;
};

}  // namespace lithe
