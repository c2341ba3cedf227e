// Multi-head attention over a segment and a memory before it, as one differentiable operator. Formula:
// kernels/attention/attention.h.
#pragma once

#include "lithe/ops/dropout.h"
#include "lithe/ops/softmax.h"

namespace lithe::ops {

// Queries, keys and values stand side by side along the last axis, each P wide (heads inside, each P / heads wide), so
// that one product makes them and one tensor takes their gradient.
struct AttentionInput {
    Tensor q_TBP;  // undefined: kv_TBX holds the queries too
    // [T][B][2P]: keys, values; or [T][B][3P]: queries, keys, values; or, beside q_TBP, [T][B][P]: keys that are the
    // values too
    Tensor kv_TBX;
    // Keys and values of earlier positions, [M][B][2P] or [M][B][P]; undefined: none. Of another sequence: with an
    // empty kv_TBX [0][B][2P] beside q_TBP, and a mask that is not causal.
    Tensor memory_MBX;
    // A second term of the scores by distance: queries [T][B][P] and rows [S][P], row c for distance S - 1 - c
    // (ops/relative_attention.h); undefined: none. And a number by distance for each head, in the type of sums.
    Tensor distance_q_TBP, distance_r_SP, distance_bias_HS;
    // fp64 numbers of keys: scores gain that of the key less that of the key at the query's position; undefined: none.
    Tensor key_bias_BHS;
    AttentionMask mask;
    int64_t heads = 1;
    double dropout = 0;  // of attention weights
    DropoutKey dropout_key;
    double soft_cap = 0;  // of scores; 0: none
    Tensor slopes_H;      // ALiBi's, in the type of sums; undefined: none
};

// Whether attention() takes its fused path.
bool fuses_attention(const AttentionInput& input);

// Whether the fused path keeps a head's probabilities for the backward pass.
bool keeps_probabilities(int64_t steps, int64_t keys, int64_t element_size);

// softmax(q k^T / sqrt(P / heads) + mask) v per head, [T][B][P].
Tensor attention(const AttentionInput& input);

// The same, and lse [T][B][H] = log sum exp of a query's scores, differentiable too.
struct AttentionOutput {
    Tensor out_TBP, lse;
};
AttentionOutput attention_with_lse(const AttentionInput& input);

// Attention whose denominators have exp(sink) more, a number for each head.
Tensor with_sinks(const AttentionOutput& attended, const Tensor& sinks_H);

// One attention over the keys of several: every key may be seen in one of them alone.
Tensor joined(const std::vector<AttentionOutput>& parts);

}  // namespace lithe::ops
