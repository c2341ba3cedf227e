// A GRU layer as a differentiable operator. Formula and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct GruInput {
    Tensor x_TBI;
    Tensor w_input;     // [3 D][I], planes r, z, n
    Tensor w_state;     // [3 D][D]
    Tensor bias_input;  // [3 D], fp32 (fp64 for fp64 input)
    Tensor bias_state;  // [3 D], the same; that of n falls on the product under r
    Tensor h0_BD;       // like the biases in type; undefined: zeros
    Tensor flags_TB;    // uint8 of base/position_flags.h; undefined: none
};

struct GruOutput {
    Tensor h_TBD;  // at padding that of the step before
    Tensor h_BD;   // after the last step; fp32, or fp64 for fp64 input
};

// Gradients flow to all floating-point inputs. Throws when shapes or types do not fit. On a GPU LibTorch's operator
// (cuDNN) runs, or, with flags, one step after the other.
GruOutput gru(const GruInput& input);

// The formula by LibTorch's operators, step by step: differentiable on any device, slow.
GruOutput gru_by_steps(const GruInput& input);

}  // namespace lithe::ops
