// The part of dropout that is compiled per instruction set.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/dropout/dropout.h"

namespace lithe::kernels {

// A tensor is cut into tiles: up to kDropoutRows rows of up to kDropoutColumns elements at one place of the outer axis,
// or of one query and head.
// What the words of a place have in common for all rows is computed once per tile, what is a row's own once per group
// of rows.
constexpr int64_t kDropoutRows = 64, kDropoutColumns = 1024;
static inline int64_t dropout_columns(int64_t inner) { return (inner + kDropoutColumns - 1) / kDropoutColumns; }
static inline int64_t dropout_groups(int64_t rows) { return (rows + kDropoutRows - 1) / kDropoutRows; }

// Tiles [begin, end), columns fastest, groups of rows slowest.
LITHE_DECLARE_ISAS(template <class S> void dropout_range(const DropoutArgs<S>& args, int64_t begin, int64_t end,
                                                         uint32_t threshold, Compute<S> scale))

}  // namespace lithe::kernels
