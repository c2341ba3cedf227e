// The part of the cross-entropy that is compiled per instruction set: rows [begin, end).
#pragma once

#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/dispatch.h"

namespace lithe::kernels {

// Of a row: max, sum of exp(l - max), and with smoothing the sum of l.
template <class C> struct RowSums { C highest, total, logits; };
// The logarithm is taken outside, where libm may be called.
LITHE_DECLARE_ISAS(template <class S> void cross_entropy_sums(const CrossEntropyArgs<S>& args, int64_t begin,
                                                              int64_t end, RowSums<Compute<S>>* sums))
LITHE_DECLARE_ISAS(template <class S>
                   void cross_entropy_gradient(const CrossEntropyArgs<S>& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels
