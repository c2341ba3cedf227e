// Diagonal state spaces as a differentiable operator. Formula and layout: kernels/diagonal_state/diagonal_state.h.
#pragma once

#include "lithe/kernels/diagonal_state/diagonal_state.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct DiagonalInput {
    kernels::DiagonalForm form = kernels::DiagonalForm::complex;
    Tensor x_TBX;     // X = D; of pairs 2 D
    Tensor a_PND;     // fp32 (fp64 for fp64 input)
    Tensor c_PND;     // like a; of pairs undefined
    Tensor s0_BPND;   // like a in type; undefined: zeros
    Tensor flags_TB;  // uint8 of base/position_flags.h; undefined: none
};

struct DiagonalOutput {
    Tensor y_TBX;
    Tensor s_BPND;  // after the last step, like a in type
};

// Gradients flow to x, a, c and s0. Throws when shapes or types do not fit. On a GPU segments without flags are
// convolved, but of pairs.
DiagonalOutput diagonal_state(const DiagonalInput& input);

// The same, but of pairs and with flags, as a convolution of the segment with y's answer to one x, by FFT: LibTorch's
// operators on any device. At a step, later ones leave their rounding.
DiagonalOutput diagonal_convolution(const DiagonalInput& input);

}  // namespace lithe::ops
