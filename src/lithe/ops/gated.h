// Gated linear units as a differentiable operator. Formula: kernels/gated/gated.h.
#pragma once

#include "lithe/kernels/gated/gated.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

// x [..., 2 inner], the gate's half first -> act(g) u [..., inner].
Tensor gated(const Tensor& x, kernels::Gate gate);

}  // namespace lithe::ops
