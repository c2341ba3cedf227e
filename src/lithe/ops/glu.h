// Gated linear units as a differentiable operator. Formula: kernels/glu/glu.h.
#pragma once

#include "lithe/kernels/glu/glu.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

// x [..., 2 inner], the gate's half first -> act(g) u [..., inner].
Tensor glu(const Tensor& x, kernels::GluGate gate);

}  // namespace lithe::ops
