// Recurrences with a matrix in the loop over time: LSTM, GRU and ATR, with their products.
//
//   lstm   i, f, g, o = u_t + W h_{t-1}     c_t = s(f) c_{t-1} + s(i) tanh(g)     h_t = s(o) tanh(c_t)
//          (Hochreiter, Schmidhuber 1997; forget gate: Gers et al. 2000)
//   gru    r, z = u_t + W h_{t-1}           n = tanh(u_t + s(r) (W h_{t-1} + b))  c_t = h_t = (1 - s(z)) n + s(z)
//   c_{t-1}
//          (Cho et al. 2014, in the form of cuDNN and torch.nn.GRU: r falls on the product, not on h)
//
//   atr    q = W h_{t-1} + b      c_t = h_t = tanh(s(u_t + q) u_t + s(u_t - q) c_{t-1})
//          (Zhang et al. 2018, "Simplifying Neural Machine Translation with Addition-Subtraction Twin-Gated Recurrent
//          Networks", in the form of bzhangGo/lrn)
//
// s is the logistic function. G = gates_of(cell): 4 planes of lstm (i, f, g, o), 3 of gru (r, z, n), 1 of atr.
//
//   u [T][B][G][D]   h, dh [T][B][D]   c [T][B][D]   w [G][D][D]   b [D]   h0, c0, c_last, dh0, dc0 [B][D]
//   gates [T][B][4][D]: of lstm s or tanh of each; of gru the same and W h + b of n; of atr s(u + q), s(u - q), u, q
//   du [T][B][4][D]: gradients of u's planes; but for lstm, the fourth is that of the last product, W h + b
// Storage is float, bfloat16 or double; c and sums are Compute<Storage>. A reset (kDocumentBegins) begins with h and c
// of 0; at padding (kPadding) both pass by.
#pragma once

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class GatedCell { lstm, gru, atr };
constexpr int64_t gates_of(GatedCell cell) { return cell == GatedCell::lstm ? 4 : cell == GatedCell::gru ? 3 : 1; }
constexpr const char* name_of(GatedCell cell) {
    return cell == GatedCell::lstm ? "lstm" : cell == GatedCell::gru ? "gru" : "atr";
}
constexpr int64_t kKeptGates = 4;

struct GatedShape {
    GatedCell cell = GatedCell::lstm;
    int64_t steps = 0, batch = 0, width = 0;
    constexpr int64_t gates() const { return gates_of(cell); }
};

// Elements of the workspace that W is packed into: room for whole panels and pairs on every instruction set.
constexpr int64_t gated_workspace(int64_t width) { return (4 * width + 64) * (width + 64); }

template <class S> struct GatedForward {
    GatedShape shape;
    const S* u = nullptr;
    const S* w = nullptr;
    const Compute<S>* b = nullptr;   // of gru and atr
    const S* h0 = nullptr;           // null: zeros
    const Compute<S>* c0 = nullptr;  // null: zeros; but of lstm, what h0 was rounded from
    const uint8_t* flags = nullptr;  // [T][B] of base/position_flags.h; null: none
    S* h = nullptr;
    S* gates = nullptr;       // 0 at padding, for the backward pass; null: not kept; of lstm it may be u
    Compute<S>* c = nullptr;  // every c_t, for the backward pass; null: not kept
    Compute<S>* c_last = nullptr;
    Compute<S>* workspace = nullptr;
};

template <class S> struct GatedBackward {
    GatedForward<S> forward;  // with gates and c; u, b, h0, h and c_last are not used
    const S* dh = nullptr;
    const Compute<S>* dc_last = nullptr;  // null: zeros
    S* du = nullptr;                      // W's gradient is du_t h_{t-1}, summed: a product for the caller
    Compute<S>* dh0 = nullptr;
    Compute<S>* dc0 = nullptr;
};

// The formula, plainly. Instantiated for float, bfloat16, double.
template <class S> void gated_forward_ref(const GatedForward<S>& args);
template <class S> void gated_backward_ref(const GatedBackward<S>& args);

// Vector code for the selected instruction set. Each thread walks time for batch rows of its own and meets no other;
// the same bits for any number of threads.
template <class S> void gated_forward(const GatedForward<S>& args);
template <class S> void gated_backward(const GatedBackward<S>& args);

// Of the products with W, forward; backward: the same.
constexpr double gated_flops(const GatedShape& s) {
    return 2 * double(s.gates()) * double(s.steps) * double(s.batch) * double(s.width) * double(s.width);
}

}  // namespace lithe::kernels
