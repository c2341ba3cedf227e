// Layer norm over the last axis as a differentiable operator. Formula: kernels/norm/norm.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// x [..., W] of any storage type; gain, bias [W] of the compute type; epsilon is added to the variance. With `add`, of
// x's shape: the norm of x + scale add, where scale is one number of the compute type.
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double epsilon, const Tensor& add = {},
                  const Tensor& scale = {});

}  // namespace lithe::ops
