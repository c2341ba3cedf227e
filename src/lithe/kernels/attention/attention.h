// Attention of queries over keys with the mask of kernels/softmax, without a matrix of scores in memory.
//
//   p_ij = softmax_j(scale q_i . k_j) over the visible keys,  o_i = sum_j p_ij v_j
//   dv_j = sum_i p_ij do_i,  ds_ij = scale p_ij (do_i . v_j - sum_j' p_ij' do_i . v_j'),
//   dq_i = sum_j ds_ij k_j,  dk_j = sum_i ds_ij q_i
//
// Without v the keys are the values, o_i = sum_j p_ij k_j, and dk takes both sums.
//
// With relative positions (Dai et al. 2019, section 3.3) a score has a second term by distance, whose rows r stand from
// the longest distance down, one for each key: p_ij = softmax_j(scale (q_i . k_j + q'_i . r_c)), c = j + queries - 1 -
// i; then dq'_i = sum_j ds_ij r_c and dr_c = sum_i ds_i,j(c) q'_i.
//
// Scores may be bent before the softmax: scale q_i . k_j becomes c tanh(scale q_i . k_j / c) under a soft cap c (Gemma
// 2), and then loses slope_h (p_i - j), the distance of query and key (ALiBi, Press et al. 2022). It may gain a number
// of its key less that of the key at its own position, b_j - b_p (Lin et al. 2025), and a number by distance, b_c with
// c as above; db_j and db_c are sums of ds / scale. Numbers of keys are fp64, so that far along a text their
// differences are as exact as at its begin.
//
// Where the mask has spans, a block of queries is worked on with its spans' keys alone, so that time and working memory
// go by what is seen. With terms by distance a block has one span, up to what its last query may see. log sum exp of
// the scores is an output like o, whose gradient adds scale p_ij dlse_i to ds_ij: by it attentions over keys that are
// apart can be joined, and a number in the denominator be added (attention sinks).
//
// The first `memory` keys come from rows of their own, so that nothing is concatenated. Blocks of queries are worked on
// one after the other; products skip what the mask hides. The forward pass keeps lse; the backward pass takes p from
// `probabilities` where they were kept, else it computes them anew (Dao et al. 2022). A query that sees nothing gets
// zeros, and kNothing for its lse.
#pragma once

#include <cstdint>

#include "lithe/kernels/head_rows.h"
#include "lithe/kernels/softmax/softmax.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class S> using AttentionRows = HeadRows<S>;

template <class S> struct AttentionForward {
    SoftmaxMask mask;
    int64_t size = 0;    // numbers per head
    int64_t memory = 0;  // keys of these, before the others
    Compute<S> scale = 1;
    AttentionRows<const S> q, k, v, memory_k, memory_v;  // v null: the keys are the values
    AttentionRows<S> out;
    S* probabilities = nullptr;                     // [batch heads][queries][attention_row(keys)]; null: not kept
    Compute<S>* lse = nullptr;                      // [batch heads][queries]
    AttentionRows<const S> distance_q, distance_r;  // q', r; null: no second term
    Compute<S> soft_cap = 0;                        // 0: none. With one, probabilities are not kept.
    const Compute<S>* slopes = nullptr;             // [heads]; null: none
    const double* key_bias = nullptr;               // [batch heads][keys]; null: none. Needs a causal mask.
    const Compute<S>* distance_bias = nullptr;      // [heads][keys], as r's rows stand; null: none
    int64_t* computed = nullptr;  // [batch heads]: scores that the forward pass made, hidden ones too; null: not wanted
};

template <class S> struct AttentionBackward {
    AttentionForward<S> forward;  // `out` is not read
    AttentionRows<const S> d_out;
    // the memory's may be null: not wanted; dv and memory_dv are null where v is
    AttentionRows<S> dq, dk, dv, memory_dk, memory_dv;
    AttentionRows<S> distance_dq;
    Compute<S>* distance_dr = nullptr;      // [batch heads][keys][size]; sums over batch rows are left to the caller
    const Compute<S>* d_lse = nullptr;      // [batch heads][queries]; null: zeros
    Compute<S>* d_key_bias = nullptr;       // [batch heads][keys]
    Compute<S>* d_distance_bias = nullptr;  // [batch heads][keys]; sums over batch rows are left to the caller
};

// Numbers per kept row of probabilities.
static inline int64_t attention_row(int64_t keys) { return (keys + 31) / 32 * 32; }

// Pairs of a query and a key that it sees, before `hidden`, over all heads: a product over them is 2 size pairs FLOPs.
double attention_pairs(const SoftmaxMask& mask);

template <class S> void attention_forward_ref(const AttentionForward<S>& args);
template <class S> void attention_backward_ref(const AttentionBackward<S>& args);
template <class S> void attention_forward(const AttentionForward<S>& args);
template <class S> void attention_backward(const AttentionBackward<S>& args);

}  // namespace lithe::kernels
