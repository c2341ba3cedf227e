// Depthwise causal convolution over time with a short kernel of k taps, and what it carries to the next segment.
//
//   y_t = g(b + sum_j w_{k-1-j} x_{t-j}),  j = 0 ... k - 1            g: identity, or silu(z) = z / (1 + exp(-z))
//
// x_{t-j} is the j-th token before t in t's document: padded steps (kPadding) are passed over, and before a document's
// first token (kDocumentBegins) stands 0. What came before the segment is `before`. At a padded step y_t = 0.
//
//   x, y [T][B][D]   w [k][D], the last row for the step itself   bias [D]   before, last [k - 1][B][D], newest last
// Storage is float, bfloat16 or double; w, bias, their gradients and all sums are Compute<Storage>.
// Source: the convolution before the recurrences of De et al. 2024 (Griffin, section 2.4) and Gu, Dao 2023 (Mamba).
#pragma once

#include <cstdint>

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

constexpr int kMostTaps = 8;

struct ShortConvolutionShape {
    int64_t steps = 0, batch = 0, width = 0;
    int taps = 4;  // k, 2 to kMostTaps
    bool silu = false;
};

template <class S> struct ShortConvolutionForward {
    ShortConvolutionShape shape;
    const S* x = nullptr;
    const Compute<S>* w = nullptr;
    const Compute<S>* bias = nullptr;  // null: none
    const S* before = nullptr;         // null: zeros
    const uint8_t* flags = nullptr;    // [T][B], base/position_flags.h; null: none
    S* y = nullptr;
    S* last = nullptr;  // what the next segment takes as `before`; of a single step, it may be `before` itself
};

template <class S> struct ShortConvolutionBackward {
    ShortConvolutionForward<S> forward;  // y and last are not used
    const S* dy = nullptr;
    const S* dlast = nullptr;  // null: zeros
    S* dx = nullptr;
    S* dbefore = nullptr;           // null: not asked for
    Compute<S>* partial = nullptr;  // workspace [convolution_row_blocks(B)][k + 1][D]; CUDA: [B][k + 1][D]
    Compute<S>* dw = nullptr;       // [k + 1][D], the last row: bias
};

// Batch rows that one task of the CPU kernel takes; fixed, so that sums do not depend on the number of threads.
constexpr int64_t kConvolutionRows = 4;
constexpr int64_t convolution_row_blocks(int64_t batch) { return (batch + kConvolutionRows - 1) / kConvolutionRows; }

// The formula, plainly. Instantiated for float, bfloat16, double.
template <class S> void short_convolution_forward_ref(const ShortConvolutionForward<S>& args);
template <class S> void short_convolution_backward_ref(const ShortConvolutionBackward<S>& args);

// Vector code for the selected instruction set, parallel over batch rows and column blocks. The same bits for any
// number of threads.
template <class S> void short_convolution_forward(const ShortConvolutionForward<S>& args);
template <class S> void short_convolution_backward(const ShortConvolutionBackward<S>& args);
// Columns [begin, end), on the calling thread.
void short_convolution_columns(const ShortConvolutionForward<float>& args, int64_t begin, int64_t end);

// Bytes that one call must move at least: the ceiling of the benchmark.
template <class S> double short_convolution_bytes(const ShortConvolutionShape& shape, bool backward);

}  // namespace lithe::kernels
