// What one task of the CPU kernel works on: a few batch rows, one after the other, up to kDiagonalBlock columns, all
// time steps.
#pragma once

#include "lithe/kernels/diagonal_state/diagonal_state.h"
#include "lithe/kernels/dispatch.h"

namespace lithe::kernels {

constexpr int64_t kDiagonalBlock = 64;

struct DiagonalBlock {
    int64_t row = 0, rows = 0;     // batch rows [row, row + rows), at most kDiagonalRows
    int64_t first = 0, count = 0;  // columns [first, first + count)
};

LITHE_DECLARE_ISAS(template <class S>
                   void diagonal_forward_block(const DiagonalForward<S>& args, const DiagonalBlock& block))
LITHE_DECLARE_ISAS(template <class S>
                   void diagonal_backward_block(const DiagonalBackward<S>& args, const DiagonalBlock& block))

}  // namespace lithe::kernels
