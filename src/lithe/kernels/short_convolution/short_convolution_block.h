// What one task of the CPU kernel works on: a few batch rows, up to kConvolutionBlock columns, all time steps.
#pragma once

#include "lithe/kernels/dispatch.h"
#include "lithe/kernels/short_convolution/short_convolution.h"

namespace lithe::kernels {

constexpr int64_t kConvolutionBlock = 256;

struct ConvolutionBlock {
    int64_t row = 0, rows = 0;     // batch rows [row, row + rows), at most kConvolutionRows
    int64_t first = 0, count = 0;  // columns [first, first + count)
};

LITHE_DECLARE_ISAS(template <class S> void convolution_forward_block(const ShortConvolutionForward<S>& args,
                                                                     const ConvolutionBlock& block))
LITHE_DECLARE_ISAS(template <class S> void convolution_backward_block(const ShortConvolutionBackward<S>& args,
                                                                      const ConvolutionBlock& block))

}  // namespace lithe::kernels
