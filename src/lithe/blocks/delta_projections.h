// What kinds with the delta rule have in common in front of it (the layers of flash-linear-attention, fla/layers):
//
//   [q, k, v] = silu(convolution(x W^T)), q and k of each head divided by sqrt(|.|^2 + 1e-6)
//   beta = sigmoid(x W_beta^T) for each head, or twice that, which lets a step turn a state's direction round
//   u_t = beta_t (v_t - R_t^T k_t) with R_t = diag(e^{g_t}) S_{t-1}        S_t = R_t + k_t u_t^T
//   o_t = S_t^T q_t / sqrt(key of a head)
#pragma once

#include "lithe/blocks/matrix_state_cell.h"
#include "lithe/blocks/short_convolution.h"

namespace lithe {

// Options that these kinds share.
struct DeltaValues {
    int64_t heads = 1;
    int64_t key_width = 0, value_width = 0;  // of all heads
    int64_t taps = 4;
    bool negative_eigenvalues = false;
    // As many heads of about this size as divide both widths.
    void choose_heads(int64_t size);
    void visit(FieldVisitor& v, const char* heads_help, const char* key_help, const char* value_help);
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const;
};

class DeltaProjections {
 public:
    DeltaProjections() = default;
    // Adds `qkv`, `convolution` and `beta` under the site's name.
    DeltaProjections(const DeltaValues& values, const BlockSite& site);

    const MatrixStateCell& cell() const { return cell_; }
    // Everything but decays.
    ops::MatrixStateInput run(const Tensor& x_TBD, const State& before, const Call& call, State& after) const;
    // Runs the rule; the carried state goes into `after`.
    Tensor mix(const ops::MatrixStateInput& in, const State& before, const Call& call, State& after) const {
        return cell_.run(in, before, call, after);
    }
    struct Step {
        StepProgram::MatrixState in;
        std::function<void(const State& state, int64_t row)> load;
    };
    Step add_step(StepProgram& program, const float* x) const;
    // The rule itself, with what `step` and the kind have filled in.
    StepOutput add_mix(StepProgram& program, const Step& step) const;

    double flops_per_token() const;
    double activation_numbers_per_token() const;

 private:
    int64_t mixed() const { return 2 * cell_.keys() + cell_.values(); }

    int64_t width_ = 0;
    double most_ = 1;  // of beta
    MatrixStateCell cell_;
    Parameter qkv_, beta_;
    ShortConvolution convolution_;
};

}  // namespace lithe
