// RMS norm of rows (Zhang & Sennrich 2019, section 4) for each head, with a gate z on one of its sides:
//
//   s = x, or x silu(z)      r = 1 / sqrt(mean(s^2) + epsilon)      n = s r      y = gain n, or gain n silu(z)
//
//   dn = gain dy, or gain dy silu(z)      ds = r (dn - n mean(dn n))      dx = ds, or ds silu(z)
//   dgain = sum over rows and heads of dy n, or dy n silu(z)      dz = ds x silu'(z), or dy gain n silu'(z)
//
// silu(z) = z sigmoid(z). Means and sums are Compute<Storage>. A gate before the norm is Mamba-2's (Dao & Gu 2024,
// section 7), one behind it that of RetNet (Sun et al. 2023, equation 8) and GLA (Yang et al. 2024, section 4.4).
#pragma once

#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class NormGate { none, before, after };

template <class S> struct RmsNormForward {
    int64_t rows = 0, heads = 1, width = 0;  // width: of a head
    double epsilon = 1e-5;
    NormGate gate = NormGate::none;
    const S* x = nullptr;  // [rows][heads][width]
    const S* z = nullptr;  // [rows][heads][width], rows z_row apart
    int64_t z_row = 0;
    const Compute<S>* gain = nullptr;  // [width]
    S* y = nullptr;                    // [rows][heads][width]; not used by the backward pass
    Compute<S>* scales = nullptr;      // [rows][heads]: r
};

template <class S> struct RmsNormBackward {
    RmsNormForward<S> forward;
    const S* dy = nullptr;       // [rows][heads][width]
    S* dx = nullptr;             // [rows][heads][width]
    S* dz = nullptr;             // [rows][heads][width], side by side
    Compute<S>* sums = nullptr;  // [rms_norm_chunks(rows)][width]: dgain of a chunk of rows
};

// Rows whose sums are taken together; fixed, so that they do not depend on the number of threads.
constexpr int64_t kRmsNormChunk = 64;
constexpr int64_t rms_norm_chunks(int64_t rows) { return (rows + kRmsNormChunk - 1) / kRmsNormChunk; }

template <class S> void rms_norm_forward_ref(const RmsNormForward<S>& args);
template <class S> void rms_norm_backward_ref(const RmsNormBackward<S>& args);
template <class S> void rms_norm_forward(const RmsNormForward<S>& args);
template <class S> void rms_norm_backward(const RmsNormBackward<S>& args);

}  // namespace lithe::kernels
