// Rotary positions (Su et al. 2021, "RoFormer", section 3.2.2) in the form that turns number i of a head with number
// i + size / 2, by the angle position x 10000^(-2 i / size).
#pragma once

#include "lithe/ops/torch.h"

namespace lithe {

struct Rotation {
    Tensor cos, sin;  // [T][B][1][size / 2], fp32 (fp64 for fp64)
};

// Of positions [T][B], of any integer type.
Rotation rotation_at(const Tensor& position_TB, int64_t size, at::ScalarType compute);
// Heads [T][B][H][size] turned; in x's type.
Tensor rotated(const Tensor& x_TBHK, const Rotation& by);
// One head of one step, in place.
void rotate_step(float* head, int64_t size, double position);

}  // namespace lithe
