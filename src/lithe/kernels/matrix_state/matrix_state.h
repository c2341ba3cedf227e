// Recurrences whose state is a matrix for each batch row and head: linear attention (Katharopoulos et al. 2020,
// section 3.4), with a decay for each head (RetNet, Sun et al. 2023, section 2; Mamba-2, Dao & Gu 2024, section 6) or
// for each channel of the key (GLA, Yang et al. 2024, section 4; HGRN2, Qin et al. 2024).
//
//   S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T        o_t = scale S_t^T q_t                         S [key][value]
//
//   dS_t = diag(e^{g_{t+1}}) dS_{t+1} + scale q_t do_t^T        dq_t = scale S_t do_t
//   dk_t = dS_t v_t        dv_t = dS_t^T k_t        dg_t = dg_{t+1} + q_t dq_t - k_t dk_t
//
// with products by channel in dg; behind the last step dg is the sum over values of S_T dS_T. A decay for each head has
// the sum over its channels. Where a document begins, S_{t-1} counts as 0; a padded step leaves S and gives 0.
//
// The CPU kernel works by chunks of a few steps: what a chunk makes of the state before it, and what its steps make of
// each other, are products of matrices (GLA, section 4.2). Decays inside a chunk are products of e^g, never quotients,
// so that a channel may lose all it holds in one step, and a document's begin is a decay by 0. Sums that have no decay
// (a denominator) are a column of ones in v. What turns q and k (rotations) is the caller's.
//
// With `normalised`, and a decay for each head, the input has a gate e^{i_t}, too, and what is read is divided by what
// the keys alone sum up to (mLSTM: Beck et al. 2024, "xLSTM", section 2.3):
//
//   m_t = max(g_t + m_{t-1}, i_t), a_t = e^{i_t - m_t}     decays are e^{g_t + m_{t-1} - m_t}, and k_t is a_t k_t
//   n_t = e^{g_t + m_{t-1} - m_t} n_{t-1} + a_t k_t        o_t = scale S_t^T q_t / max(|scale n_t^T q_t|, e^{-m_t})
//
// No exponent is above 0. S e^m, n e^m and o do not depend on m, so that m is a constant to gradients: whoever takes S
// and n from here takes them with their m. e^{-m} is cut off at e^{+-80}, where o is 0 or has no use for it.
#pragma once

#include <cstdint>

#include "lithe/base/position_flags.h"
#include "lithe/kernels/head_rows.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class StateDecay { none, head, channel };

struct MatrixStateShape {
    int64_t steps = 0, batch = 0, heads = 0;
    int64_t key = 0, value = 0;  // of a head
    StateDecay decay = StateDecay::none;
    bool normalised = false;
    constexpr int64_t state() const { return key * value; }
    constexpr int64_t sums() const { return key + 1; }  // n, then m
};

template <class S> struct MatrixStateForward {
    MatrixStateShape shape;
    Compute<S> scale = 1;
    // Above 0: of q and k, q / sqrt(|q|^2 + unit) and k / sqrt(|k|^2 + unit) are taken. The CPU's alone.
    Compute<S> unit = 0;
    HeadRows<const S> q, k, v;     // [key], [key], [value]; heads may share rows
    HeadRows<const Compute<S>> g;  // logarithms of decays, one number or [key]; unused with decay none
    // Instead of them: g = log sigmoid(gates) / temperature. Data null: there are none.
    HeadRows<const S> gates;
    Compute<S> temperature = 1;
    HeadRows<const Compute<S>> admit;   // i, with `normalised`
    const uint8_t* flags = nullptr;     // [T][B], base/position_flags.h; null: none
    const Compute<S>* start = nullptr;  // [B][H][key][value]; null: zeros
    HeadRows<S> out;                    // [value]
    Compute<S>* last = nullptr;         // [B][H][key][value]
    Compute<S>* kept = nullptr;         // for the backward pass: [B][H][state_blocks(T)][key][value]; null: not kept
    // With `normalised`: n and m beside S, [B][H][key + 1] and [B][H][state_blocks(T)][key + 1].
    const Compute<S>* start_sums = nullptr;  // null: n of 0 and m of kNoSum
    Compute<S>* last_sums = nullptr;
    Compute<S>* kept_sums = nullptr;
};

template <class S> struct MatrixStateBackward {
    MatrixStateForward<S> forward;  // with last and kept; `out` is not used
    HeadRows<const S> d_out;
    const Compute<S>* d_last = nullptr;  // null: zeros
    HeadRows<S> dq, dk, dv;              // a row for each head, whatever heads share
    HeadRows<Compute<S>> dg;             // data null: not wanted; CUDA needs it for d_gates, too
    HeadRows<S> d_gates;                 // data null: not wanted
    Compute<S>* d_start = nullptr;
    // With `normalised`.
    HeadRows<Compute<S>> d_admit;             // of i
    const Compute<S>* d_last_sums = nullptr;  // of n, what stands for m is not read; null: zeros
    Compute<S>* d_start_sums = nullptr;
    Compute<S>* room = nullptr;  // CUDA's: [T][B][H][kNormalisedRoom]
};

// m of sums to which nothing was added: what is added to them is all that counts.
constexpr double kNoSum = -1e30;
constexpr double kFarthestSum = 80;  // e^{-m} is e^{-80} to e^{80}
constexpr int64_t kNormalisedRoom = 4;

// The states before every so many steps are kept.
constexpr int64_t kStateBlock = 64;
constexpr int64_t state_blocks(int64_t steps) { return (steps + kStateBlock - 1) / kStateBlock; }

// Floating-point operations of the step form, a multiply-add counted as 2; the decay is not counted.
constexpr double matrix_state_flops(const MatrixStateShape& shape) {
    return 4.0 * double(shape.steps) * double(shape.batch) * double(shape.heads) * double(shape.state());
}

// The formula, step by step. Instantiated for float, bfloat16, double.
template <class S> void matrix_state_forward_ref(const MatrixStateForward<S>& args);
template <class S> void matrix_state_backward_ref(const MatrixStateBackward<S>& args);

// Vector code for the selected instruction set, parallel over batch rows and heads, which meet in no sum.
template <class S> void matrix_state_forward(const MatrixStateForward<S>& args);
template <class S> void matrix_state_backward(const MatrixStateBackward<S>& args);

}  // namespace lithe::kernels
