// An ATR layer as a differentiable operator. Formula and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct AtrInput {
    Tensor x_TBI;
    Tensor w_input;     // [D][I]
    Tensor w_state;     // [D][D]
    Tensor bias_input;  // [D], fp32 (fp64 for fp64 input)
    Tensor bias_state;  // [D], the same
    Tensor h0_BD;       // like the biases in type; undefined: zeros
    Tensor flags_TB;    // uint8 of base/position_flags.h; undefined: none
};

struct AtrOutput {
    Tensor h_TBD;  // at padding that of the step before
    Tensor h_BD;   // after the last step; fp32, or fp64 for fp64 input
};

// Gradients flow to all floating-point inputs. Throws when shapes or types do not fit. On a GPU one step runs after the
// other.
AtrOutput atr(const AtrInput& input);

// The formula by LibTorch's operators, step by step: differentiable on any device, slow.
AtrOutput atr_by_steps(const AtrInput& input);

}  // namespace lithe::ops
