#include "lithe/kernels/diagonal_state/diagonal_state.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/diagonal_state/diagonal_state_block.h"

namespace lithe::kernels {
namespace {

template <class S> void forward_block(const DiagonalForward<S>& args, const DiagonalBlock& block) {
    LITHE_CALL_ISA(diagonal_forward_block, args, block)
}

template <class S> void backward_block(const DiagonalBackward<S>& args, const DiagonalBlock& block) {
    LITHE_CALL_ISA(diagonal_backward_block, args, block)
}

// Cuts the work into blocks whose bounds do not depend on the number of threads.
template <class F> void for_each_block(const DiagonalShape& shape, const F& work) {
    const int64_t per_row = (shape.width + kDiagonalBlock - 1) / kDiagonalBlock;
    parallel_for(diagonal_row_blocks(shape.batch) * per_row, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = i / per_row * kDiagonalRows, column = i % per_row * kDiagonalBlock;
            work(DiagonalBlock{row, std::min(kDiagonalRows, shape.batch - row), column,
                               std::min(kDiagonalBlock, shape.width - column)});
        }
    });
}

}  // namespace

template <class S> void diagonal_forward(const DiagonalForward<S>& args) {
    for_each_block(args.shape, [&](const DiagonalBlock& block) { forward_block(args, block); });
}

template <class S> void diagonal_backward(const DiagonalBackward<S>& args) {
    const DiagonalShape& shape = args.forward.shape;
    for_each_block(shape, [&](const DiagonalBlock& block) { backward_block(args, block); });
    const int64_t stride = 2 * shape.state_numbers(),
                  numbers = shape.form == DiagonalForm::pairs ? shape.state_numbers() : stride;
    std::fill(args.dac, args.dac + numbers, Compute<S>(0));
    for (int64_t block = 0; block < diagonal_row_blocks(shape.batch); ++block) {
        const Compute<S>* rows = args.partial + block * stride;
        for (int64_t i = 0; i < numbers; ++i) args.dac[i] += rows[i];
    }
}

#define LITHE_INSTANTIATE(S)                                      \
    template void diagonal_forward<S>(const DiagonalForward<S>&); \
    template void diagonal_backward<S>(const DiagonalBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
