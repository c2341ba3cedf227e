// The part of the gated units that is compiled per instruction set: rows [begin, end).
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/gated/gated.h"

namespace lithe::kernels {

LITHE_DECLARE_ISAS(template <class S> void gated_forward_rows(const GatedForward<S>& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(template <class S>
                   void gated_backward_rows(const GatedBackward<S>& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels
