// xLSTM's mLSTM layer (Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", section 2.3) in the form of xLSTM 7B
// (Beck et al. 2025, "xLSTM 7B", section 3; NX-AI/xlstm, xlstm_large/model.py; transformers' xlstm):
//
//   [q, k, v] = x W^T     i, f = cap tanh((x W_if^T + b) / cap)     S_t = s(f) S_{t-1} + e^i k_t v_t^T, n_t likewise
//   h_t = S_t^T q_t / max(|n_t^T q_t|, 1), q over sqrt(key of a head)
//   delta = (s(x W_z^T) gain layer_norm(h) of each head) W_o^T
//
// s is the logistic function; the stabiliser that keeps exponents below 0: kernels/matrix_state/matrix_state.h. At the
// start W_if and W_z are 0, b is -10 for i and 3 to 6 over the heads for f. The norm before it, the skip and the gated
// feed-forward behind (`f` with activation "swiglu", no bias, inner 8/3 width up to a multiple of 64) are the layout's.
#pragma once

#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"

namespace lithe {

struct MlstmValues {
    int64_t heads = 4;
    int64_t key_width = 0, value_width = 0;  // of all heads
    double gate_cap = 15;
    static MlstmValues defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class MlstmBlock : public Block {
 public:
    MlstmBlock(const MlstmValues& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t width_;
    double cap_, epsilon_;
    MatrixStateCell cell_;
    Parameter qkv_, gates_, gates_bias_, gate_, gain_, out_;
};

}  // namespace lithe
