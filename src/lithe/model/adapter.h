// Adapter behind a block (Houlsby et al. 2019, section 2.1), for fine-tuning with the model frozen:
//
//   y = x + W_up gelu(W_down x + b_down) + b_up        W_down [inner][width], W_up [width][inner]
//
// It begins close to y = x. Its parameters stand under "adapters.", apart from the model's.
#pragma once

#include "lithe/nn/step_program.h"

namespace lithe {

class Adapter {
 public:
    Adapter() = default;
    Adapter(ParameterStore& store, const std::string& name, int64_t width, int64_t inner);
    explicit operator bool() const { return bool(down_); }
    Tensor operator()(const Tensor& x) const;                           // [...][width]
    const float* add_step(StepProgram& program, const float* x) const;  // [rows][width]
    double flops_per_token() const { return 4 * double(width_) * double(inner_); }
    double activation_numbers_per_token() const { return double(width_) + 2 * double(inner_); }

 private:
    int64_t width_ = 0, inner_ = 0;
    Parameter down_, down_bias_, up_, up_bias_;
};

}  // namespace lithe
