// The part of the gated units that is compiled per instruction set: rows [begin, end).
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/glu/glu.h"

namespace lithe::kernels {

LITHE_DECLARE_ISAS(template <class S> void glu_forward_rows(const GluForward<S>& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(template <class S> void glu_backward_rows(const GluBackward<S>& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels
