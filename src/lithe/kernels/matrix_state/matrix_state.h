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
// (a denominator) are a column of ones in v. What scales k by step (an exponential input gate behind a running maximum)
// or turns q and k (rotations) is the caller's.
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
    constexpr int64_t state() const { return key * value; }
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
    const uint8_t* flags = nullptr;     // [T][B], base/position_flags.h; null: none
    const Compute<S>* start = nullptr;  // [B][H][key][value]; null: zeros
    HeadRows<S> out;                    // [value]
    Compute<S>* last = nullptr;         // [B][H][key][value]
    Compute<S>* kept = nullptr;         // for the backward pass: [B][H][state_blocks(T)][key][value]; null: not kept
};

template <class S> struct MatrixStateBackward {
    MatrixStateForward<S> forward;  // with last and kept; `out` is not used
    HeadRows<const S> d_out;
    const Compute<S>* d_last = nullptr;  // null: zeros
    HeadRows<S> dq, dk, dv;              // a row for each head, whatever heads share
    HeadRows<Compute<S>> dg;             // data null: not wanted; CUDA needs it for d_gates, too
    HeadRows<S> d_gates;                 // data null: not wanted
    Compute<S>* d_start = nullptr;
};

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
