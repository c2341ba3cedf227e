// The part of dropout that is compiled per instruction set.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/dropout/dropout.h"

namespace lithe::kernels {

LITHE_DECLARE_ISAS(template <class S> void dropout_range(const DropoutArgs<S>& args, int64_t begin, int64_t end,
                                                         uint32_t threshold, Compute<S> scale))

}  // namespace lithe::kernels
