// Layer norm of rows (Ba et al. 2016), of x or of a sum that is made on the way:
//
//   s = x + scale a,  m = mean(s),  r = 1 / sqrt(mean((s - m)^2) + epsilon),  n = (s - m) r,  y = gain n + bias
//   dn = gain dy,  ds = r (dn - mean(dn) - n mean(dn n)),  dx = ds,  da = scale ds
//   dgain = sum over rows of dy n,  dbias = sum of dy,  dscale = sum of ds a
//
// Means and sums are Compute<Storage>.
#pragma once

#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class S> struct NormForward {
    int64_t rows = 0, width = 0;
    double epsilon = 1e-5;
    const S* x = nullptr;               // [rows][width]
    const S* add = nullptr;             // a [rows][width]; null: s = x
    const Compute<S>* scale = nullptr;  // of a, one number; null: 1
    const Compute<S>* gain = nullptr;   // [width]
    const Compute<S>* bias = nullptr;   // [width]; not read by the backward pass
    S* y = nullptr;                     // [rows][width]; not used by the backward pass
    Compute<S>* statistics = nullptr;   // [rows][2]: m, r
};

template <class S> struct NormBackward {
    NormForward<S> forward;
    const S* dy = nullptr;       // [rows][width]
    S* dx = nullptr;             // [rows][width]
    S* d_add = nullptr;          // [rows][width] with `add`
    Compute<S>* sums = nullptr;  // [norm_chunks(rows)][2 width + 1]: dgain, dbias, dscale of a chunk of rows
};

// Rows whose sums are taken together; fixed, so that they do not depend on the number of threads.
constexpr int64_t kNormChunk = 64;
constexpr int64_t norm_chunks(int64_t rows) { return (rows + kNormChunk - 1) / kNormChunk; }

template <class S> void norm_forward_ref(const NormForward<S>& args);
template <class S> void norm_backward_ref(const NormBackward<S>& args);
template <class S> void norm_forward(const NormForward<S>& args);
template <class S> void norm_backward(const NormBackward<S>& args);

}  // namespace lithe::kernels
