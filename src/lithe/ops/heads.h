// Heads inside the last axis, brought to the front for batched products.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

// [S][B][P] -> [B H][S][P / H]
inline Tensor heads_first(const Tensor& x_SBP, int64_t heads) {
    const int64_t steps = x_SBP.size(0), batch = x_SBP.size(1), size = x_SBP.size(2) / heads;
    return x_SBP.reshape({steps, batch, heads, size}).permute({1, 2, 0, 3}).reshape({batch * heads, steps, size});
}

// [B H][S][P / H] -> [S][B][P]
inline Tensor heads_last(const Tensor& x_NSZ, int64_t heads) {
    const int64_t batch = x_NSZ.size(0) / heads, steps = x_NSZ.size(1), size = x_NSZ.size(2);
    return x_NSZ.view({batch, heads, steps, size}).permute({2, 0, 1, 3}).reshape({steps, batch, heads * size});
}

}  // namespace lithe::ops
