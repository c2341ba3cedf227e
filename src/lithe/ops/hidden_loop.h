// What layers share whose state is h alone, with a matrix in the loop: GRU, ATR.
#pragma once

#include <functional>

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct HiddenLoopInput {
    Tensor x_TBI;
    Tensor w_input;     // [G D][I], planes as the cell has them
    Tensor w_state;     // [G D][D]
    Tensor bias_input;  // [G D], fp32 (fp64 for fp64 input)
    Tensor bias_state;  // [G D], the same
    Tensor h0_BD;       // like the biases in type; undefined: zeros
    Tensor flags_TB;    // uint8 of base/position_flags.h; undefined: none
};

struct HiddenLoopOutput {
    Tensor h_TBD;  // at padding that of the step before
    Tensor h_BD;   // after the last step; fp32, or fp64 for fp64 input
};

// h_t from x W^T + b of the step and h_{t-1} U^T + b', both [B][G D], and h_{t-1}.
using HiddenStep = std::function<Tensor(const Tensor& of_input, const Tensor& of_state, const Tensor& h_BD)>;

// The loop by LibTorch's operators, step by step: differentiable on any device, slow.
HiddenLoopOutput hidden_loop_by_steps(const HiddenLoopInput& input, const HiddenStep& step);

}  // namespace lithe::ops
