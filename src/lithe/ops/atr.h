// An ATR layer as a differentiable operator. Formula and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/ops/hidden_loop.h"

namespace lithe::ops {

using AtrInput = HiddenLoopInput;  // one plane
using AtrOutput = HiddenLoopOutput;

// Gradients flow to all floating-point inputs. Throws when shapes or types do not fit. On a GPU one step runs after the
// other.
AtrOutput atr(const AtrInput& input);

// The formula by LibTorch's operators, step by step: differentiable on any device, slow.
AtrOutput atr_by_steps(const AtrInput& input);

}  // namespace lithe::ops
