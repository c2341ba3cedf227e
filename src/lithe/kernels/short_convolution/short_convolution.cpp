#include "lithe/kernels/short_convolution/short_convolution.h"

#include <algorithm>

#include "lithe/base/parallel.h"
#include "lithe/kernels/short_convolution/short_convolution_block.h"

namespace lithe::kernels {
namespace {

template <class S> void forward_block(const ShortConvolutionForward<S>& args, const ConvolutionBlock& block) {
    LITHE_CALL_ISA(convolution_forward_block, args, block)
}

template <class S> void backward_block(const ShortConvolutionBackward<S>& args, const ConvolutionBlock& block) {
    LITHE_CALL_ISA(convolution_backward_block, args, block)
}

// Cuts the work into blocks whose bounds do not depend on the number of threads.
template <class F> void for_each_block(const ShortConvolutionShape& shape, const F& work) {
    const int64_t per_row = (shape.width + kConvolutionBlock - 1) / kConvolutionBlock;
    parallel_for(convolution_row_blocks(shape.batch) * per_row, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = i / per_row * kConvolutionRows, column = i % per_row * kConvolutionBlock;
            work(ConvolutionBlock{row, std::min(kConvolutionRows, shape.batch - row), column,
                                  std::min(kConvolutionBlock, shape.width - column)});
        }
    });
}

}  // namespace

template <class S> void short_convolution_forward(const ShortConvolutionForward<S>& args) {
    for_each_block(args.shape, [&](const ConvolutionBlock& block) { forward_block(args, block); });
}

template <class S> void short_convolution_backward(const ShortConvolutionBackward<S>& args) {
    const ShortConvolutionShape& shape = args.forward.shape;
    for_each_block(shape, [&](const ConvolutionBlock& block) { backward_block(args, block); });
    const int64_t numbers = (shape.taps + 1) * shape.width;
    std::fill(args.dw, args.dw + numbers, Compute<S>(0));
    for (int64_t block = 0; block < convolution_row_blocks(shape.batch); ++block) {
        const Compute<S>* rows = args.partial + block * numbers;
        for (int64_t i = 0; i < numbers; ++i) args.dw[i] += rows[i];
    }
}

void short_convolution_columns(const ShortConvolutionForward<float>& args, int64_t begin, int64_t end) {
    for (int64_t row = 0; row < args.shape.batch; row += kConvolutionRows)
        for (int64_t at = begin; at < end; at += kConvolutionBlock)
            forward_block(args, {row, std::min(kConvolutionRows, args.shape.batch - row), at,
                                 std::min(kConvolutionBlock, end - at)});
}

template <class S> double short_convolution_bytes(const ShortConvolutionShape& s, bool backward) {
    return double(s.steps) * double(s.batch) * double(s.width) * double((backward ? 3 : 2) * sizeof(S));
}

#define LITHE_INSTANTIATE(S)                                                         \
    template void short_convolution_forward<S>(const ShortConvolutionForward<S>&);   \
    template void short_convolution_backward<S>(const ShortConvolutionBackward<S>&); \
    template double short_convolution_bytes<S>(const ShortConvolutionShape&, bool);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
