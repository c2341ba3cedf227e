// The part of rotary positions that is compiled per instruction set: rows [begin, end) of [steps][batch].
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/rotary/rotary.h"

namespace lithe::kernels {

LITHE_DECLARE_ISAS(template <class S> void rotary_rows(const RotaryArgs<S>& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels
