// The part of delta_state that is compiled per instruction set: one task is one head of one batch row.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/matrix_state/delta_state.h"

namespace lithe::kernels {

// Bytes of scratch that a task needs, aligned to 64.
LITHE_DECLARE_ISAS(template <class S>
                   int64_t delta_state_scratch(const MatrixStateShape& shape, bool low_rank, bool backward))
LITHE_DECLARE_ISAS(template <class S> void delta_state_forward_heads(const DeltaStateForward<S>& args, int64_t begin,
                                                                     int64_t end, char* scratch))
LITHE_DECLARE_ISAS(template <class S> void delta_state_backward_heads(const DeltaStateBackward<S>& args, int64_t begin,
                                                                      int64_t end, char* scratch))

}  // namespace lithe::kernels
