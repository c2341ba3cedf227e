// Recurrences with a matrix in the loop over time: LSTM, GRU, ATR and sLSTM, with their products.
//
//   lstm   i, f, g, o = u_t + W h_{t-1}     c_t = s(f) c_{t-1} + s(i) tanh(g)     h_t = s(o) tanh(c_t)
//          (Hochreiter, Schmidhuber 1997; forget gate: Gers et al. 2000)
//   gru    r, z = u_t + W h_{t-1}           n = tanh(u_t + s(r) (W h_{t-1} + b))
//          c_t = h_t = (1 - s(z)) n + s(z) c_{t-1}
//          (Cho et al. 2014, in the form of cuDNN and torch.nn.GRU: r falls on the product, not on h)
//
//   atr    q = W h_{t-1} + b      c_t = h_t = tanh(s(u_t + q) u_t + s(u_t - q) c_{t-1})
//          (Zhang et al. 2018, "Simplifying Neural Machine Translation with Addition-Subtraction Twin-Gated Recurrent
//          Networks", in the form of bzhangGo/lrn)
//
//   slstm  i, f, z, o = u_t + W h_{t-1} + b                  a = log s(f) + l_{t-1}         l_t = log(e^a + e^i)
//          c_t = k c_{t-1} + (1 - k) tanh(z), k = s(a - i)   h_t = s(o) c_t
//          (Beck et al. 2024, "xLSTM", eq. 8-15. Its cell, normaliser n and stabiliser m stand here as their quotient c
//          and l = m + log n: the same numbers, no exponential above 1, and no m to choose.)
//
// s is the logistic function. G = gates_of(cell): 4 planes of lstm (i, f, g, o) and slstm, 3 of gru (r, z, n), 1 of
// atr. H heads of width D do not meet: W is block-diagonal.
//
//   u [T][B][H][G][D]   h, dh, c [T][B][H][D]   w [H][G][D][D]   b [H][D], of slstm [H][4][D]
//   h0, c0, l0, c_last, l_last, dh0, dc0, dl0 [B][H][D]
//   gates [T][B][H][4][D]: of lstm s or tanh of each; of gru the same and W h + b of n; of atr s(u + q), s(u - q), u,
//   q; of slstm a - i, f, tanh(z), s(o) du [T][B][H][4][D]: gradients of u's planes; of gru and atr the fourth is that
//   of the last product, W h + b
// Storage is float, bfloat16 or double; c, l and sums are Compute<Storage>. A reset (kDocumentBegins) begins with h and
// c of 0 and l of kNothing; at padding (kPadding) all pass by.
#pragma once

#include "lithe/base/position_flags.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class GatedCell { lstm, gru, atr, slstm };
constexpr GatedCell kGatedCells[] = {GatedCell::lstm, GatedCell::gru, GatedCell::atr, GatedCell::slstm};
struct GatedTraits {
    const char* name;
    int64_t gates, biases;    // planes of u and of b
    bool has_normaliser;      // l
    bool shows_state = true;  // h is c, rounded to storage
};
constexpr GatedTraits traits_of(GatedCell cell) {
    constexpr GatedTraits table[] = {
        {"lstm", 4, 0, false, false}, {"gru", 3, 1, false}, {"atr", 1, 1, false}, {"slstm", 4, 4, true, false}};
    return table[int(cell)];
}
constexpr int64_t kKeptGates = 4;
// l of a normaliser to which nothing was added: what it is added to is all that counts.
constexpr double kNothing = -1e30;

struct GatedShape {
    GatedCell cell = GatedCell::lstm;
    int64_t steps = 0, batch = 0, width = 0;  // width: of a head
    int64_t heads = 1;
    constexpr GatedTraits traits() const { return traits_of(cell); }
    constexpr int64_t gates() const { return traits().gates; }
    constexpr int64_t rows() const { return batch * heads; }  // of h at a step
};

// Elements of the workspace that W is packed into: room for whole panels and pairs on every instruction set.
constexpr int64_t gated_workspace(const GatedShape& s) { return s.heads * (4 * s.width + 64) * (s.width + 64); }

template <class S> struct GatedForward {
    GatedShape shape;
    const S* u = nullptr;
    const S* w = nullptr;
    const Compute<S>* b = nullptr;   // but of lstm
    const S* h0 = nullptr;           // null: zeros
    const Compute<S>* c0 = nullptr;  // null: zeros; of gru and atr, what h0 was rounded from
    const Compute<S>* l0 = nullptr;  // of slstm; null: kNothing
    const uint8_t* flags = nullptr;  // [T][B] of base/position_flags.h; null: none
    S* h = nullptr;
    S* gates = nullptr;       // 0 at padding, for the backward pass; null: not kept; where G is 4 it may be u
    Compute<S>* c = nullptr;  // every c_t, for the backward pass; null: not kept
    Compute<S>* c_last = nullptr;
    Compute<S>* l_last = nullptr;  // of slstm
    Compute<S>* workspace = nullptr;
};

template <class S> struct GatedBackward {
    GatedForward<S> forward;  // with gates and c; u, b, h0, l0, h, c_last and l_last are not used
    const S* dh = nullptr;
    const Compute<S>* dc_last = nullptr;  // null: zeros
    const Compute<S>* dl_last = nullptr;  // the same
    S* du = nullptr;                      // W's gradient is du_t h_{t-1}, summed: a product for the caller
    Compute<S>* dh0 = nullptr;
    Compute<S>* dc0 = nullptr;
    Compute<S>* dl0 = nullptr;  // of slstm
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
    return 2 * double(s.gates()) * double(s.steps) * double(s.rows()) * double(s.width) * double(s.width);
}

}  // namespace lithe::kernels
