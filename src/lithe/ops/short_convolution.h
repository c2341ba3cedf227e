// Depthwise causal convolution with a short kernel as a differentiable operator. Formula and layout:
// kernels/short_convolution/short_convolution.h.
#pragma once

#include "lithe/kernels/short_convolution/short_convolution.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct ShortConvolutionInput {
    Tensor x_TBD;
    Tensor w_KD;        // fp32 (fp64 for fp64 input), the last row for the step itself
    Tensor bias_D;      // like w; undefined: none
    Tensor before_LBD;  // L = K - 1 tokens before the segment, newest last, like x in type; undefined: zeros
    Tensor flags_TB;    // uint8 of base/position_flags.h; undefined: none
    bool silu = false;
};

struct ShortConvolutionOutput {
    Tensor y_TBD;
    Tensor last_LBD;  // the `before` of the next segment
};

// Gradients flow to x, w, bias and before. Throws when shapes or types do not fit.
ShortConvolutionOutput short_convolution(const ShortConvolutionInput& input);

}  // namespace lithe::ops
