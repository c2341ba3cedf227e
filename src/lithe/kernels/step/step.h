// What one token of a few texts needs: products of a matrix with a vector each, attention of one query, layer norm and
// the recurrence of one step. Bound by reading weights; activations are fp32.
//
//   product:  y[b][r] = scale_r sum_k w[r][k] x[b][k] + bias_r         w: fp32, bf16, or int8 with a scale per row
//   attend:   over keys [begin, end) per head: m = max_j s_j, l = sum_j exp(s_j - m), o = sum_j exp(s_j - m) v_j with
//             s_j = scale (q . k_j + term by the key's age, if any); parts of several callers are merged by
//             merge_attention
//   norm:     y = (x - mean) / sqrt(variance + epsilon) gain + bias                               (Ba et al. 2016)
//   sru:      kernels/recurrence/recurrence.h, one step
//   lstm:     i, f, g, o = planes of u + s: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)
//   gru:      r, z = sigmoid of planes of u + s, n = tanh(u_n + r s_n): h = n + z (h - n)
//   state:    kernels/matrix_state/matrix_state.h, one step: S = left S + k v^T, o = scale S^T q;
//             with beta that of delta_state.h: S = left S, then S += k (beta (v - S^T k))^T
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class W> struct StepProduct {
    const W* weight = nullptr;  // [rows][columns]
    int64_t columns = 0;
    const float* x = nullptr;      // [batch][columns]
    float* y = nullptr;            // [batch][rows]
    const float* bias = nullptr;   // [rows]; null: none
    const float* scale = nullptr;  // [rows]; null: 1
    int64_t rows = 0;              // of the weight
    int64_t batch = 1;
};
template <class W> void step_product_ref(const StepProduct<W>& args, int64_t begin, int64_t end);
template <class W> void step_product(const StepProduct<W>& args, int64_t begin, int64_t end);

template <class S> struct StepAttend {
    int64_t heads = 1, size = 0;
    float scale = 1;
    const float* q = nullptr;  // [heads][size]
    const S *k = nullptr, *v = nullptr;
    int64_t row = 0;          // numbers from one key to the next
    float* scores = nullptr;  // room for end - begin
    // of this part: [heads], [heads], [heads][size]
    float *highest = nullptr, *sum = nullptr, *out = nullptr;
    // Relative positions: by_age[head ages + newest - j] is added to q . k_j; null: nothing is.
    const float* by_age = nullptr;
    int64_t ages = 0, newest = 0;
    int64_t group = 1;  // heads of q that share one of k and v
};
template <class S> void step_attend_ref(const StepAttend<S>& args, int64_t begin, int64_t end);
template <class S> void step_attend(const StepAttend<S>& args, int64_t begin, int64_t end);

// Merges the results of `parts` stretches of keys, for one head: writes size numbers. A stretch whose sum is 0 was
// empty.
void merge_attention(int64_t parts, const float* highest, const float* sum, const float* out, int64_t head,
                     int64_t heads, int64_t size, float* to);

void step_norm_ref(const float* x, const float* gain, const float* bias, int64_t size, double epsilon, float* y);
void step_norm(const float* x, const float* gain, const float* bias, int64_t size, double epsilon, float* y);

struct StepSru {
    int64_t width = 0;
    const float* u = nullptr;                   // [planes][width]
    const float* skip = nullptr;                // [width], already scaled where it is a plane; null: none
    float alpha = 1;                            // of the skip
    const float *v = nullptr, *bias = nullptr;  // [2][width]
    float *c = nullptr, *h = nullptr;
    bool tanh = false;
};
void step_sru_ref(const StepSru& args, int64_t begin, int64_t end);
void step_sru(const StepSru& args, int64_t begin, int64_t end);

// Of a cell whose products with x and with the state stand ready.
struct StepGates {
    int64_t width = 0;
    const float *u = nullptr, *s = nullptr;  // from x, from the state: [planes][width]
    float *c = nullptr, *h = nullptr;        // c: LSTM only
};
void step_lstm_ref(const StepGates& args, int64_t begin, int64_t end);
void step_lstm(const StepGates& args, int64_t begin, int64_t end);
void step_gru_ref(const StepGates& args, int64_t begin, int64_t end);
void step_gru(const StepGates& args, int64_t begin, int64_t end);

struct StepMatrixState {
    int64_t key = 0, value = 0;                            // of a head
    float scale = 1;                                       // of q
    const float *q = nullptr, *k = nullptr, *v = nullptr;  // [heads][key], [heads][key], [heads][value]
    int64_t key_head = 0;                                  // numbers from a head's q and k to the next one's
    const float* left = nullptr;                           // of the state: a number, or [key]; null: all
    int64_t left_head = 0, left_channel = 0;               // numbers from a head's to the next one's, from channels'
    const float* beta = nullptr;                           // [heads], of the delta rule; null: values are added
    float *state = nullptr, *out = nullptr;                // [heads][key][value], [heads][value]
};
// Of values [begin, end), counted over all heads.
void step_matrix_state_ref(const StepMatrixState& args, int64_t begin, int64_t end);
void step_matrix_state(const StepMatrixState& args, int64_t begin, int64_t end);

}  // namespace lithe::kernels
