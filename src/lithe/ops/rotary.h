// Rotary positions as a differentiable operator. Formula: kernels/rotary/rotary.h.
#pragma once

#include "lithe/ops/torch.h"

namespace lithe::ops {

struct Rotary {
    int64_t size = 0;    // numbers of a head
    int64_t turned = 0;  // of these, from the first; even
    double base = 10000;
};

// [count][2][turned / 2] cosines and sines of positions `first`, first + 1 …, in `options`' type and place. Kept from
// call to call; thread-safe.
Tensor rotary_angles(const Rotary& rotary, int64_t first, int64_t count, at::TensorOptions options);

// Those of positions [T][B], of any integer type: [T][B][2][turned / 2].
Tensor rotary_angles_at(const Rotary& rotary, const Tensor& position_TB, at::TensorOptions options);

// x [T][B][X] whose first `heads` heads are turned by these angles, [T][2][turned / 2] or [T][B][2][turned / 2] of x's
// compute type.
Tensor rotary(const Tensor& x_TBX, const Rotary& rotary, int64_t heads, const Tensor& angles);
// By positions first, first + 1 … of the T steps.
Tensor rotary(const Tensor& x_TBX, const Rotary& rotary, int64_t heads, int64_t first);
// Heads of `numbers` numbers in all, one behind the other, of one position, in place.
void rotary_step(float* heads, int64_t numbers, const Rotary& rotary, int64_t position);

}  // namespace lithe::ops
