// What one task of the CPU kernel works on: a few batch rows, one direction, up to kRecurrenceBlock columns, all time
// steps. At every step the rows of a task lie side by side in memory, long enough for the hardware to fetch ahead.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/recurrence/recurrence.h"

namespace lithe::kernels {

constexpr int64_t kRecurrenceBlock = 512;

struct RecurrenceBlock {
    int64_t row = 0, rows = 0;                    // batch rows [row, row + rows), at most kRecurrenceRows
    int64_t direction = 0, first = 0, count = 0;  // columns [first, first + count) of the direction
};

LITHE_DECLARE_ISAS(template <class S>
                   void recurrence_forward_block(const RecurrenceForward<S>& args, const RecurrenceBlock& block))
LITHE_DECLARE_ISAS(template <class S>
                   void recurrence_backward_block(const RecurrenceBackward<S>& args, const RecurrenceBlock& block))

}  // namespace lithe::kernels
