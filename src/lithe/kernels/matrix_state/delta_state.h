// Recurrences whose state is a matrix for each batch row and head and that write what the state lacks: before a value
// is stored under a key, what already stands there is read, and only the difference is written. DeltaNet (Schlag et al.
// 2021; Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule"), with a decay for each head (gated
// DeltaNet, Yang et al. 2025, section 3) or for each channel of the key (Kimi delta attention, Kimi Team 2025).
//
//   R_t = diag(e^{g_t}) S_{t-1}        u_t = beta_t (v_t - R_t^T k_t)        S_t = R_t + k_t u_t^T
//   o_t = scale S_t^T q_t        S, R [key][value]
//
//   dS_t = diag(e^{g_{t+1}}) dR_{t+1} + scale q_t do_t^T        du_t = dS_t^T k_t        dv_t = beta_t du_t
//   dR_t = dS_t - k_t dv_t^T        dq_t = scale S_t do_t        dk_t = dS_t u_t - R_t dv_t
//   dbeta_t = du_t . u_t / beta_t        dg_t = dg_{t+1} + q_t dq_t - k_t (dS_t u_t) - k_t (R_t dv_t)
//
// or with rows of their own for what is read and where that is taken off (RWKV-7, Peng et al. 2025, section 3):
//
//   x_t = R_t^T a_t        S_t = R_t + k_t v_t^T - b_t x_t^T        dR_t = dS_t + a_t dx_t^T
//   dv_t = dS_t^T k_t        dx_t = -dS_t^T b_t        dk_t = dS_t v_t        db_t = -dS_t x_t        da_t = R_t dx_t
//   dg_t = dg_{t+1} + q_t dq_t + a_t da_t - k_t dk_t - b_t db_t
//
// with what matrix_state.h says of decays, document begins and padding. With the delta rule the state stays bounded
// where 0 <= beta |k|^2 <= 2: a step then shrinks it or turns it, in the direction of k.
//
// Within a chunk, what is written solves a triangular system: u_i = beta_i (v_i - what the state before the chunk holds
// for k_i - sum over j < i of (k_i . k_j by the decay between) u_j), row by row, in fp32 (Yang et al. 2024,
// section 3.2, without the inverse). The rest is the first kernel with u for v. Gradients go back through the same
// system, turned.
#pragma once

#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe::kernels {

template <class S> struct DeltaStateForward {
    MatrixStateForward<S> in;
    HeadRows<const Compute<S>> beta;  // a number
    HeadRows<const S> a, b;           // instead of it: [key]; data null: none
};

template <class S> struct DeltaStateBackward {
    MatrixStateBackward<S> in;
    HeadRows<const Compute<S>> beta;
    HeadRows<const S> a, b;
    HeadRows<Compute<S>> d_beta;
    HeadRows<S> da, db;
    Compute<S>* room = nullptr;  // CUDA: of room_of_delta_state() numbers; the CPU has its own
};

// Floating-point operations of the step form: what is read, written and put out; the decay is not counted.
constexpr double delta_state_flops(const MatrixStateShape& shape, bool low_rank) {
    return (low_rank ? 2 : 1.5) * matrix_state_flops(shape);
}

// What a backward pass on CUDA keeps: v less what was read, gradients of keys and of decays.
constexpr int64_t room_of_delta_state(const MatrixStateShape& shape) {
    return shape.steps * shape.batch * shape.heads * (shape.value + shape.key);
}

// The formula, step by step. Instantiated for float, bfloat16, double.
template <class S> void delta_state_forward_ref(const DeltaStateForward<S>& args);
template <class S> void delta_state_backward_ref(const DeltaStateBackward<S>& args);

// Vector code for the selected instruction set, parallel over batch rows and heads.
template <class S> void delta_state_forward(const DeltaStateForward<S>& args);
template <class S> void delta_state_backward(const DeltaStateBackward<S>& args);

}  // namespace lithe::kernels
