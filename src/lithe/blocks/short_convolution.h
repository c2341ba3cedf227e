// The depthwise causal convolution with a short kernel that stands before many recurrences (kernels/short_convolution
// has the formula). Any block may hold one, or several under names of their own; it carries the last k - 1 tokens of a
// row's document to the next segment, begins anew with a document and passes over padding.
//
//   convolution_ = ShortConvolution(site.store, site.name + ".convolution", {.width = D, .silu = true});
//   ...
//   const Tensor y_TBD = convolution_.run(x_TBD, state, call, out.state);
#pragma once

#include "lithe/blocks/block.h"

namespace lithe {

struct ShortConvolutionOptions {
    int64_t width = 0;
    int64_t taps = 4;  // k, 2 to 8
    bool bias = true;
    bool silu = false;
    double deviation = 0;                 // of initial weights, normal; 0: uniform in +-1 / sqrt(k), as torch's Conv1d
    const char* carried = "convolution";  // name of the state's tensor [k - 1][B][width]
};

class ShortConvolution {
 public:
    ShortConvolution() = default;
    // Adds `name`.w [k][width], whose last row is the step's own, and `name`.bias: vectors, which do not decay.
    ShortConvolution(ParameterStore& store, const std::string& name, const ShortConvolutionOptions& options);

    // x [T][B][width] -> y alike; takes its tokens from `before` and puts those of the next segment into `after`.
    Tensor run(const Tensor& x_TBD, const State& before, const Call& call, State& after) const;
    // x [width] of one step -> y [width].
    StepOutput add_step(StepProgram& program, const float* x) const;
    // Kept for the backward pass: its input.
    double activation_numbers_per_token() const { return double(options_.width); }

 private:
    ShortConvolutionOptions options_;
    Parameter w_, bias_;
};

}  // namespace lithe
