// Sinusoids of distances (Vaswani et al. 2017, section 3.5, in the order of Transformer-XL's code: all sines, then all
// cosines).
#pragma once

#include "lithe/ops/torch.h"

namespace lithe {

// [count][width]: row c is that of distance count - 1 - c, or of `clamp` where that is larger (0: no clamp). Kept
// between calls; do not write to it.
Tensor distance_sinusoids(int64_t count, int64_t width, int64_t clamp, at::TensorOptions options);

// [...][width] of positions [...] int64, in the same order.
Tensor position_sinusoids(const Tensor& positions, int64_t width, at::ScalarType type);

}  // namespace lithe
