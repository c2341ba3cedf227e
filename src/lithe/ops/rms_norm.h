// RMS norm of heads, with a gate, as a differentiable operator. Formula: kernels/norm/rms_norm.h.
#pragma once

#include "lithe/kernels/norm/rms_norm.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

// x [..., heads x W] of any storage type, W = the size of gain, which is of the compute type; z of x's shape and type
// unless there is no gate.
Tensor rms_norm(const Tensor& x, const Tensor& gain, double epsilon, kernels::NormGate gate = kernels::NormGate::none,
                const Tensor& z = {});

}  // namespace lithe::ops
