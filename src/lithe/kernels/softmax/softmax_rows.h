// The part of the softmax that is compiled per instruction set: a range of rows (batch x heads x queries).
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/softmax/softmax.h"

namespace lithe::kernels {

// `scratch` holds mask.keys values, `marks` as many where there are spans.
LITHE_DECLARE_ISAS(template <class S> void softmax_forward_rows(const SoftmaxForward<S>& args, int64_t begin,
                                                                int64_t end, Compute<S>* scratch, uint8_t* marks))
LITHE_DECLARE_ISAS(template <class S>
                   void softmax_backward_rows(const SoftmaxBackward<S>& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels
