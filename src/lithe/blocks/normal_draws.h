// Normal numbers by counter, for kinds that draw directions once.
#pragma once

#include <cmath>
#include <numbers>

#include "lithe/base/rng.h"
#include "lithe/ops/torch.h"

namespace lithe {

inline double normal_draw(uint64_t key, uint64_t index) {  // Box-Muller
    const double radius = std::sqrt(-2 * std::log(1 - random_unit(key, 2 * index)));
    return radius * std::cos(2 * std::numbers::pi * random_unit(key, 2 * index + 1));
}

// [rows][columns], fp64 in memory.
inline Tensor normal_draws(int64_t rows, int64_t columns, uint64_t key) {
    const Tensor drawn = at::empty({rows, columns}, at::kDouble);
    for (int64_t i = 0; i < rows * columns; ++i) drawn.data_ptr<double>()[i] = normal_draw(key, uint64_t(i));
    return drawn;
}

}  // namespace lithe
