// A GRU layer as a differentiable operator. Formula and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/ops/hidden_loop.h"

namespace lithe::ops {

using GruInput = HiddenLoopInput;  // planes r, z, n; the state's bias of n falls on the product under r
using GruOutput = HiddenLoopOutput;

// Gradients flow to all floating-point inputs. Throws when shapes or types do not fit. On a GPU LibTorch's operator
// (cuDNN) runs, or, with flags, one step after the other.
GruOutput gru(const GruInput& input);

// The formula by LibTorch's operators, step by step: differentiable on any device, slow.
GruOutput gru_by_steps(const GruInput& input);

}  // namespace lithe::ops
