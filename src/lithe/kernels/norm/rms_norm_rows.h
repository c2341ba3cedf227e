// The part of RMS norm that is compiled per instruction set: a range of rows.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/norm/rms_norm.h"

namespace lithe::kernels {

// Numbers of scratch for a head of this width.
constexpr int64_t rms_norm_scratch(int64_t width) { return 2 * ((width + 15) / 16 * 16); }

LITHE_DECLARE_ISAS(template <class S> void rms_norm_forward_rows(const RmsNormForward<S>& args, int64_t begin,
                                                                 int64_t end, Compute<S>* scratch))
// `sums` [width] are those of the chunk that the rows are of.
LITHE_DECLARE_ISAS(template <class S> void rms_norm_backward_rows(const RmsNormBackward<S>& args, int64_t begin,
                                                                  int64_t end, Compute<S>* sums, Compute<S>* scratch))

}  // namespace lithe::kernels
