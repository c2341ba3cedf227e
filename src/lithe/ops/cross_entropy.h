// Cross-entropy as a differentiable operator. Formula: kernels/cross_entropy/cross_entropy.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// Loss in nats of every row [N] (fp32; fp64 for fp64 logits) of logits [N][V] + bias [V]. targets: int64 [N]; -1 is not
// scored; anything else outside [0, V) throws. The backward pass writes over the logits: use them for nothing else.
Tensor cross_entropy(const Tensor& logits_NV, const Tensor& bias_V, const Tensor& targets_N);

}  // namespace lithe::ops
