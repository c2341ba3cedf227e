// Which tokens a tap sees; for the vector code and the CUDA code alike.
#pragma once

#include "lithe/kernels/short_convolution/short_convolution.h"

#if defined(__CUDACC__)
#define LITHE_BOTH __host__ __device__ inline
#else
#define LITHE_BOTH inline
#endif

namespace lithe::kernels {

constexpr int64_t kNoStep = INT64_MIN;

// The step of the token before t in its document; -1, -2, ...: the newest and older ones of what was carried; kNoStep:
// there is none.
LITHE_BOTH int64_t step_before(const uint8_t* flags, int64_t batch, int64_t row, int64_t t) {
    if (t < 0) return t == kNoStep ? kNoStep : t - 1;
    if (!flags) return t - 1;
    for (;;) {
        if (flags[t * batch + row] & kDocumentBegins) return kNoStep;
        if (--t < 0) return -1;
        if (!(flags[t * batch + row] & kPadding)) return t;
    }
}

// The step of the last token that a segment leaves, by the same numbers.
LITHE_BOTH int64_t newest_step(const uint8_t* flags, int64_t batch, int64_t row, int64_t steps) {
    const int64_t t = steps - 1;
    if (t >= 0 && flags && (flags[t * batch + row] & kPadding)) return step_before(flags, batch, row, t);
    return t;
}

// Where column `first` of a token lies; null: nowhere, it counts as 0.
template <class S>
LITHE_BOTH const S* token_at(const ShortConvolutionForward<S>& a, int64_t step, int64_t row, int64_t first) {
    if (step >= 0) return a.x + (step * a.shape.batch + row) * a.shape.width + first;
    if (step == kNoStep || !a.before || step < 1 - a.shape.taps) return nullptr;
    return a.before + ((a.shape.taps - 1 + step) * a.shape.batch + row) * a.shape.width + first;
}

}  // namespace lithe::kernels
