// xLSTM's sLSTM as a differentiable operator. Formula and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct SlstmInput {
    Tensor u_TBX;     // [T][B][H 4 D]: products of the input, by heads, planes i, f, z, o
    Tensor w_state;   // [H 4 D][D]
    Tensor bias;      // [H 4 D], fp32 (fp64 for fp64 input)
    Tensor h0_BD;     // [B][H D], like bias in type; undefined: zeros
    Tensor c0_BD;     // the same
    Tensor l0_BD;     // the same, but kNothing where it is undefined
    Tensor flags_TB;  // uint8 of base/position_flags.h; undefined: none
    int64_t heads = 1;
};

struct SlstmOutput {
    Tensor h_TBD;             // at padding that of the step before
    Tensor h_BD, c_BD, l_BD;  // after the last step; fp32, or fp64 for fp64 input
};

// Gradients flow to all floating-point inputs. Throws when shapes or types do not fit. On a GPU one step runs after the
// other.
SlstmOutput slstm(const SlstmInput& input);

// The formula by LibTorch's operators, step by step: differentiable on any device, slow.
SlstmOutput slstm_by_steps(const SlstmInput& input);

}  // namespace lithe::ops
