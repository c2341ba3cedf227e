// Gated linear attention (Yang et al. 2024, "Gated Linear Attention Transformers with Hardware-Efficient Training",
// section 4.4; the layer of flash-linear-attention, fla/layers/gla.py):
//
//   [q, k, v] = x W^T        g = log sigmoid(x W_1^T W_2^T + b) / 16        S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T
//   o_t = S_t^T q_t / sqrt(key of a head)        delta = (rms_norm_of_heads(o) silu(x W_z^T)) W_o^T
#pragma once

#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct GlaValues {
    int64_t heads = 4;
    int64_t key_width = 0, value_width = 0;  // of all heads
    int64_t decay_rank = 16;
    double decay_temperature = 16;
    static GlaValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class GlaBlock : public Block {
 public:
    GlaBlock(const GlaValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    GlaValues values_;
    int64_t width_;
    MatrixStateCell cell_;
    Parameter qkv_, gate_, decay_in_, decay_out_, decay_bias_, out_;
    RmsNorm norm_;
};

}  // namespace lithe
