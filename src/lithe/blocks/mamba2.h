// Mamba-2 (Dao & Gu 2024, "Transformers are SSMs", section 7; the layer of state-spaces/mamba,
// mamba_ssm/modules/mamba2.py, with one group):
//
//   [z, xBC, dt] = u W^T        [x, B, C] = silu(convolution(xBC))        dt = softplus(dt + b), A = -e^a for each head
//   S_t = e^{A dt_t} S_{t-1} + B_t (dt_t x_t)^T        y_t = S_t^T C_t + D x_t
//   delta = rms_norm(y silu(z)) W_o^T
#pragma once

#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/options.h"
#include "lithe/blocks/short_convolution.h"

namespace lithe {

struct Mamba2Values {
    int64_t inner = 0;
    int64_t heads = 1;
    int64_t state = 128;
    int64_t taps = 4;
    static Mamba2Values defaults(const ModelConfig& model);
    void visit(FieldVisitor& v);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class Mamba2Block : public Block {
 public:
    Mamba2Block(const Mamba2Values& values, const BlockSite& site);
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Call& call) const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    double flops_per_token(const CostShape& shape) const override;
    double activation_numbers_per_token(const CostShape& shape) const override;

 private:
    int64_t rows() const { return inner_ + mixed() + cell_.heads; }  // of the projection: z; x, B, C; dt
    int64_t mixed() const { return inner_ + 2 * cell_.key; }

    int64_t width_, inner_;
    MatrixStateCell cell_;  // keys are B and C, values x
    Parameter in_, dt_bias_, log_a_, skip_, out_;
    ShortConvolution convolution_;
    RmsNorm norm_;
};

}  // namespace lithe
