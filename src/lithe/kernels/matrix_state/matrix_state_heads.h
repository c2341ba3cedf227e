// The part of matrix_state that is compiled per instruction set: one task is one head of one batch row.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe::kernels {

// Bytes of scratch that a task needs, aligned to 64.
LITHE_DECLARE_ISAS(template <class S> int64_t matrix_state_scratch(const MatrixStateShape& shape, bool backward))
LITHE_DECLARE_ISAS(template <class S> void matrix_state_forward_heads(const MatrixStateForward<S>& args, int64_t begin,
                                                                      int64_t end, char* scratch))
LITHE_DECLARE_ISAS(template <class S> void matrix_state_backward_heads(const MatrixStateBackward<S>& args,
                                                                       int64_t begin, int64_t end, char* scratch))

}  // namespace lithe::kernels
