#include "lithe/kernels/recurrence/recurrence.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/recurrence/recurrence_block.h"

namespace lithe::kernels {
namespace {

template <class S> void forward_block(const RecurrenceForward<S>& args, const RecurrenceBlock& block) {
    LITHE_CALL_ISA(recurrence_forward_block, args, block)
}

template <class S> void backward_block(const RecurrenceBackward<S>& args, const RecurrenceBlock& block) {
    LITHE_CALL_ISA(recurrence_backward_block, args, block)
}

// Cuts the work into blocks whose bounds do not depend on the number of threads.
template <class F> void for_each_block(const RecurrenceShape& shape, const F& work) {
    int64_t per_direction = (shape.width + kRecurrenceBlock - 1) / kRecurrenceBlock;
    int64_t per_row = per_direction * shape.directions;
    parallel_for(recurrence_row_blocks(shape.batch) * per_row, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            int64_t row = i / per_row * kRecurrenceRows, column = i % per_row % per_direction * kRecurrenceBlock;
            work(RecurrenceBlock{row, std::min(kRecurrenceRows, shape.batch - row), i % per_row / per_direction, column,
                                 std::min(kRecurrenceBlock, shape.width - column)});
        }
    });
}

}  // namespace

CellTraits traits_of(Cell cell) {
    static constexpr CellTraits table[kCells] = {
        {"sru", 3, 4, true},
        {"sru tanh", 3, 4, true},
        {"sru projected", 4, 4},
        {"sru projected tanh", 4, 4},
        {"sru bare", 3, 4},
        {"sru bare tanh", 3, 4},
        {"min_gru", 2, 0, false, true},
        {"min_lstm", 3, 0, false, true},
        {"lrn", 3, 3, false, true},
        {"lrn linear", 3, 3, false, true},
        {"ssru", 2, 1},
        {"rg_lru", 2, 3, true, true},
        {"qrnn f", 2, 2, false, true},
        {"qrnn fo", 3, 3},
        {"qrnn ifo", 4, 4},
        {"qrnn admit f", 2, 2, false, true},
        {"qrnn admit fo", 3, 3},
    };
    return table[int(cell)];
}

template <class S> void recurrence_forward(const RecurrenceForward<S>& args) {
    for_each_block(args.shape, [&](const RecurrenceBlock& block) { forward_block(args, block); });
}

template <class S> void recurrence_backward(const RecurrenceBackward<S>& args) {
    const RecurrenceShape& shape = args.forward.shape;
    for_each_block(shape, [&](const RecurrenceBlock& block) { backward_block(args, block); });
    const int64_t numbers = traits_of(shape.cell).weights * shape.columns();
    if (numbers == 0) return;
    std::fill(args.dw, args.dw + numbers, Compute<S>(0));
    for (int64_t block = 0; block < recurrence_row_blocks(shape.batch); ++block) {
        const Compute<S>* rows = args.partial + block * numbers;
        for (int64_t i = 0; i < numbers; ++i) args.dw[i] += rows[i];
    }
}

void recurrence_columns(const RecurrenceForward<float>& args, int64_t begin, int64_t end) {
    for (int64_t row = 0; row < args.shape.batch; row += kRecurrenceRows)
        for (int64_t at = begin; at < end; at += kRecurrenceBlock)
            forward_block(args, {row, std::min(kRecurrenceRows, args.shape.batch - row), 0, at,
                                 std::min(kRecurrenceBlock, end - at)});
}

template <class S> double recurrence_forward_bytes(const RecurrenceShape& shape, bool keep_c) {
    const CellTraits cell = traits_of(shape.cell);
    const double elements = double(shape.steps) * double(shape.batch) * double(shape.columns());
    return elements *
           double((cell.planes + 1 + (cell.reads_x ? 1 : 0)) * int(sizeof(S)) + (keep_c ? int(sizeof(Compute<S>)) : 0));
}

template <class S> double recurrence_backward_bytes(const RecurrenceShape& shape) {
    const CellTraits cell = traits_of(shape.cell);
    const double elements = double(shape.steps) * double(shape.batch) * double(shape.columns());
    const int skip = cell.reads_x ? 2 : 0;  // read x, write dx
    return elements * double((2 * cell.planes + 1 + skip) * int(sizeof(S)) + int(sizeof(Compute<S>)));
}

#define LITHE_INSTANTIATE(S)                                                   \
    template void recurrence_forward<S>(const RecurrenceForward<S>&);          \
    template void recurrence_backward<S>(const RecurrenceBackward<S>&);        \
    template double recurrence_forward_bytes<S>(const RecurrenceShape&, bool); \
    template double recurrence_backward_bytes<S>(const RecurrenceShape&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
