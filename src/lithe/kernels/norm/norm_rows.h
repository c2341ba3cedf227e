// The part of layer norm that is compiled per instruction set: a range of rows.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/norm/norm.h"

namespace lithe::kernels {

LITHE_DECLARE_ISAS(template <class S> void norm_forward_rows(const NormForward<S>& args, int64_t begin, int64_t end))
// `sums` [2 width + 1] are those of the chunk that the rows are of.
LITHE_DECLARE_ISAS(template <class S>
                   void norm_backward_rows(const NormBackward<S>& args, int64_t begin, int64_t end, Compute<S>* sums))

}  // namespace lithe::kernels
