// What one task of the CPU kernel works on: a few batch rows, one direction, up to kSruBlock columns, all time steps.
// At every step the rows of a task lie side by side in memory, long enough for the hardware to fetch ahead.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels {

constexpr int64_t kSruBlock = 512;

struct SruBlock {
    int64_t row = 0, rows = 0;                    // batch rows [row, row + rows), at most kSruRows
    int64_t direction = 0, first = 0, count = 0;  // columns [first, first + count) of the direction
};

LITHE_DECLARE_ISAS(template <class S> void sru_forward_block(const SruForward<S>& args, const SruBlock& block))
LITHE_DECLARE_ISAS(template <class S> void sru_backward_block(const SruBackward<S>& args, const SruBlock& block))

}  // namespace lithe::kernels
