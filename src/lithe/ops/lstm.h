// An LSTM layer as a differentiable operator. Formula and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct LstmInput {
    Tensor x_TBI;
    Tensor w_input;   // [4 D][I], planes i, f, g, o
    Tensor w_state;   // [4 D][D]
    Tensor bias;      // [4 D], fp32 (fp64 for fp64 input)
    Tensor h0_BD;     // like bias in type; undefined: zeros
    Tensor c0_BD;     // the same
    Tensor flags_TB;  // uint8 of base/position_flags.h; undefined: none
};

struct LstmOutput {
    Tensor h_TBD;       // at padding that of the step before
    Tensor h_BD, c_BD;  // after the last step; fp32, or fp64 for fp64 input
};

// Gradients flow to all floating-point inputs. Throws when shapes or types do not fit. On a GPU LibTorch's operator
// (cuDNN) runs, or, with flags, one step after the other.
LstmOutput lstm(const LstmInput& input);

// The formula by LibTorch's operators, step by step: differentiable on any device, slow.
LstmOutput lstm_by_steps(const LstmInput& input);

}  // namespace lithe::ops
