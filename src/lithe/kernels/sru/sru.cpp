#include "lithe/kernels/sru/sru.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/sru/sru_block.h"

namespace lithe::kernels {
namespace {

template <class S> void forward_block(const SruForward<S>& args, const SruBlock& block) {
    LITHE_CALL_ISA(sru_forward_block, args, block)
}

template <class S> void backward_block(const SruBackward<S>& args, const SruBlock& block) {
    LITHE_CALL_ISA(sru_backward_block, args, block)
}

// Cuts the work into blocks whose bounds do not depend on the number of threads.
template <class F> void for_each_block(const SruShape& shape, const F& work) {
    int64_t per_direction = (shape.width + kSruBlock - 1) / kSruBlock;
    int64_t per_row = per_direction * shape.directions;
    parallel_for(sru_row_blocks(shape.batch) * per_row, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            int64_t row = i / per_row * kSruRows, column = i % per_row % per_direction * kSruBlock;
            work(SruBlock{row, std::min(kSruRows, shape.batch - row), i % per_row / per_direction, column,
                          std::min(kSruBlock, shape.width - column)});
        }
    });
}

}  // namespace

template <class S> void sru_forward(const SruForward<S>& args) {
    for_each_block(args.shape, [&](const SruBlock& block) { forward_block(args, block); });
}

template <class S> void sru_backward(const SruBackward<S>& args) {
    const SruShape& shape = args.forward.shape;
    for_each_block(shape, [&](const SruBlock& block) { backward_block(args, block); });
    const int64_t columns = shape.columns();
    for (int64_t part = 0; part < 4; ++part) {
        Compute<S>* out = (part < 2 ? args.dv : args.dbias) + part % 2 * columns;
        std::fill(out, out + columns, Compute<S>(0));
        for (int64_t block = 0; block < sru_row_blocks(shape.batch); ++block) {
            const Compute<S>* row = args.partial + (block * 4 + part) * columns;
            for (int64_t i = 0; i < columns; ++i) out[i] += row[i];
        }
    }
}

template void sru_forward<float>(const SruForward<float>&);
template void sru_forward<bfloat16>(const SruForward<bfloat16>&);
template void sru_forward<double>(const SruForward<double>&);
template void sru_backward<float>(const SruBackward<float>&);
template void sru_backward<bfloat16>(const SruBackward<bfloat16>&);
template void sru_backward<double>(const SruBackward<double>&);

}  // namespace lithe::kernels
