// What one task of the CPU kernel works on: one batch row, one direction, up to kSruBlock columns, all time steps.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels {

constexpr int64_t kSruBlock = 512;

struct SruBlock {
    int64_t row = 0, direction = 0, first = 0, count = 0;  // columns [first, first + count) of the direction
};

LITHE_DECLARE_ISAS(template <class S> void sru_forward_block(const SruForward<S>& args, const SruBlock& block))
LITHE_DECLARE_ISAS(template <class S> void sru_backward_block(const SruBackward<S>& args, const SruBlock& block))

} // namespace lithe::kernels
