// SRU recurrence (Lei et al. 2018, "Simple Recurrent Units", eq. 1-4; SRU++: Lei 2021, section 3).
//
//   f_t = sigmoid(u1_t + v_f c_{t-1} + b_f)         c_t = f_t c_{t-1} + (1 - f_t) u0_t
//   r_t = sigmoid(u2_t + v_r c_{t-1} + b_r)         h_t = x'_t + (g(c_t) - x'_t) m r_t
//
// x' = alpha x (3 planes), u3 (4 planes) or 0 (3 planes, x null); g identity or tanh; m a mask [B][D] shared over time,
// or 1. At a padded step c_t = c_{t-1} and h_t = 0; at a reset step c_{t-1} counts as 0 (a document begins).
//
// Layout, row-major, last index fastest; D = directions x width:
//   u [T][B][directions][planes][width]   x, h [T][B][D]   c [T][B][D]   v, bias [2][D] (forget, reset)   c0, c_last,
//   mask [B][D]
// Direction 1 walks time backwards. Storage is float, bfloat16 or double; c and everything per column is
// Compute<Storage>. Gates are recomputed in the backward pass from u and the saved c.
#pragma once

#include <cstdint>

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

struct SruShape {
    int64_t steps = 0, batch = 0, width = 0;  // width: per direction
    int directions = 1;
    int planes = 3;
    bool tanh = false;
    int64_t columns() const { return directions * width; }
};

template <class S> struct SruForward {
    SruShape shape;
    const S* u = nullptr;
    const S* x = nullptr;  // null: no skip input (planes 3), or the skip is u3 (planes 4)
    const Compute<S>* v = nullptr;
    const Compute<S>* bias = nullptr;
    const Compute<S>* c0 = nullptr;    // null: zeros
    const Compute<S>* mask = nullptr;  // null: ones
    const uint8_t* flags = nullptr;    // [T][B], base/position_flags.h; null: none
    Compute<S> alpha = 1;
    S* h = nullptr;
    Compute<S>* c = nullptr;  // every c_t, for the backward pass; null: not kept
    Compute<S>* c_last = nullptr;
};

template <class S> struct SruBackward {
    SruForward<S> forward;  // with c; h and c_last are not used
    const S* dh = nullptr;
    const Compute<S>* dc_last = nullptr;  // null: zeros
    S* du = nullptr;
    S* dx = nullptr;  // null when x is null
    Compute<S>* dc0 = nullptr;
    Compute<S>* partial = nullptr;  // workspace [sru_row_blocks(B)][4][D]; CUDA: [B][4][D]
    Compute<S>* dv = nullptr;       // [2][D]
    Compute<S>* dbias = nullptr;    // [2][D]
};

// Batch rows that one task of the CPU kernel takes; fixed, so that sums do not depend on the number of threads.
constexpr int64_t kSruRows = 4;
constexpr int64_t sru_row_blocks(int64_t batch) { return (batch + kSruRows - 1) / kSruRows; }

// The formula, plainly. Instantiated for float, bfloat16, double.
template <class S> void sru_forward_ref(const SruForward<S>& args);
template <class S> void sru_backward_ref(const SruBackward<S>& args);

// Vector code for the selected instruction set, parallel over batch rows and column blocks. The same bits for any
// number of threads.
template <class S> void sru_forward(const SruForward<S>& args);
template <class S> void sru_backward(const SruBackward<S>& args);

// Bytes that one call must move at least: the ceiling of the benchmark.
template <class S> double sru_forward_bytes(const SruShape& shape, bool keep_c);
template <class S> double sru_backward_bytes(const SruShape& shape);

}  // namespace lithe::kernels
