// The part of the optimizer that is compiled per instruction set.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/optimizer/optimizer.h"

namespace lithe::kernels {

LITHE_DECLARE_ISAS(template <class C> void optimizer_range(const UpdateArgs<C>& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(template <class C> double sum_of_squares_range(const C* values, int64_t count))

}  // namespace lithe::kernels
