// LSTM recurrence with its products over time (Hochreiter, Schmidhuber 1997; forget gate: Gers et al. 2000).
//
//   i, f, g, o = u_t + W h_{t-1}        c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)        h_t = sigmoid(o) tanh(c_t)
//
//   u, gates, du [T][B][4][D]   h, dh [T][B][D]   c [T][B][D]   w [4][D][D]   h0, c0, c_last, dh0, dc0 [B][D]
// Storage is float, bfloat16 or double; c and sums are Compute<Storage>. A reset (kDocumentBegins) begins with h and c
// of 0; at padding (kPadding) both pass by.
#pragma once

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

struct LstmShape {
    int64_t steps = 0, batch = 0, width = 0;
};

// Elements of the workspace that W is packed into: room for whole panels and pairs on every instruction set.
constexpr int64_t lstm_workspace(int64_t width) { return (4 * width + 64) * (width + 64); }

template <class S> struct LstmForward {
    LstmShape shape;
    const S* u = nullptr;
    const S* w = nullptr;
    const S* h0 = nullptr;           // null: zeros
    const Compute<S>* c0 = nullptr;  // null: zeros
    const uint8_t* flags = nullptr;  // [T][B] of base/position_flags.h; null: none
    S* h = nullptr;
    S* gates = nullptr;       // sigmoid or tanh of each, 0 at padding, for the backward pass; null: not kept; may be u
    Compute<S>* c = nullptr;  // every c_t, for the backward pass; null: not kept
    Compute<S>* c_last = nullptr;
    Compute<S>* workspace = nullptr;
};

template <class S> struct LstmBackward {
    LstmForward<S> forward;  // with gates and c; u, h0, h and c_last are not used
    const S* dh = nullptr;
    const Compute<S>* dc_last = nullptr;  // null: zeros
    S* du = nullptr;                      // W's gradient is du_t h_{t-1}, summed: a product for the caller
    Compute<S>* dh0 = nullptr;
    Compute<S>* dc0 = nullptr;
};

// The formula, plainly. Instantiated for float, bfloat16, double.
template <class S> void lstm_forward_ref(const LstmForward<S>& args);
template <class S> void lstm_backward_ref(const LstmBackward<S>& args);

// Vector code for the selected instruction set. Each thread walks time for batch rows of its own and meets no other;
// the same bits for any number of threads.
template <class S> void lstm_forward(const LstmForward<S>& args);
template <class S> void lstm_backward(const LstmBackward<S>& args);

// Of the products with W, forward; backward: the same.
constexpr double lstm_flops(const LstmShape& s) {
    return 8 * double(s.steps) * double(s.batch) * double(s.width) * double(s.width);
}

}  // namespace lithe::kernels
