// Counter-based dropout as a differentiable operator. Rule: kernels/dropout/dropout.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// Returns x itself when probability is 0.
Tensor dropout(const Tensor& x, double probability, uint64_t key);
// [B][D] of 0 or 1/(1-p), in the compute type: SRU's mask, shared over time.
Tensor dropout_mask(at::IntArrayRef sizes, double probability, uint64_t key, at::TensorOptions options);

}  // namespace lithe::ops
