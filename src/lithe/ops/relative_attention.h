// Attention with relative positions and memory (Transformer-XL, Dai et al. 2019, section 3.3), as one operator.
//
//   score[i][j] = ((q_i + u) . k_j + (q_i + v) . r_{i + M - j}) / sqrt(P / H)      keys j of [memory; segment], S = M +
//   T
//
// How products by distance become scores by key. r's rows stand from the longest distance down: row c is distance
// S - 1 - c, so that B = (q + v) r^T has, for T = 3 queries and M = 2:
//
//         c:  0  1  2  3  4                j:  0  1  2  3  4
//    i = 0    4  3  2  1  0           i = 0    2  1  0  .  .      (numbers: distances)
//    i = 1    4  3  2  1  0    ->     i = 1    3  2  1  0  .
//    i = 2    4  3  2  1  0           i = 2    4  3  2  1  0
//
// Row i begins T - 1 - i columns later: score[i][j] = B[i][j + T - 1 - i], which lies at T - 1 + i (S - 1) + j in
// memory. So the shifted matrix is B's own memory, read from place T - 1 on in rows of S - 1; only the last column is
// not in it, and of that only the last query's entry is visible. What stands at the dots is some other query's product:
// the causal mask must hide it.
#pragma once

#include "lithe/ops/dropout.h"
#include "lithe/ops/softmax.h"

namespace lithe::ops {

struct RelativeAttentionInput {
    Tensor qkv_TBX;      // [T][B][3P]: queries, keys, values of the segment
    Tensor memory_MBX;   // [M][B][2P]: keys and values of earlier positions; undefined: none
    Tensor r_SP;         // projected positions, row c is distance S - 1 - c
    Tensor u_P, v_P;     // added to the queries: for content, for positions
    AttentionMask mask;  // causal
    int64_t heads = 1;
    double dropout = 0;  // of attention weights
    DropoutKey dropout_key;
};

// [T][B][P]
Tensor relative_attention(const RelativeAttentionInput& input);

// scores [B H][T][S] += B [H][B T][S] by distance, as above; returns scores. Differentiable in both; gradients of
// hidden scores must be zero.
Tensor add_shifted_(const Tensor& scores, const Tensor& by_distance);

}  // namespace lithe::ops
