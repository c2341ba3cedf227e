// HGRN2 (Qin et al. 2024, "HGRN2: Gated Linear RNNs with State Expansion", section 3; the layer of
// flash-linear-attention, fla/layers/hgrn2.py):
//
//   [q, f, v] = x W^T        left_t = bound + (1 - bound) sigmoid(f_t), k_t = 1 - left_t by channel
//   S_t = diag(left_t) S_{t-1} + k_t v_t^T        o_t = S_t^T silu(q_t) / sqrt(key of a head)
//   delta = rms_norm(o) W_o^T
//
// Bounds rise with depth: bound of layer l = sum over layers 1 to l of softmax over layers of a parameter that all
// have.
#pragma once

#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct Hgrn2Values {
    int64_t heads = 1;
    bool lower_bounds = true;
    static Hgrn2Values defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class Hgrn2Block : public Block {
 public:
    Hgrn2Block(const Hgrn2Values& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    Tensor bound() const;  // [D]; undefined in the first layer, where it is 0

    int64_t width_, layer_ = 0;
    MatrixStateCell cell_;
    Parameter qfv_, out_, bounds_;
    RmsNorm norm_;
};

}  // namespace lithe
