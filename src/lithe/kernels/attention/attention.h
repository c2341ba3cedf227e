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
// The first `memory` keys come from rows of their own, so that nothing is concatenated. Blocks of queries are worked on
// one after the other; products skip what the mask hides. The forward pass keeps lse_i = log sum_j exp(scale q_i .
// k_j); the backward pass takes p from `probabilities` where they were kept, else it computes them anew (Dao et al.
// 2022). A query that sees nothing gets zeros.
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
};

template <class S> struct AttentionBackward {
    AttentionForward<S> forward;  // `out` is not read
    AttentionRows<const S> d_out;
    // the memory's may be null: not wanted; dv and memory_dv are null where v is
    AttentionRows<S> dq, dk, dv, memory_dk, memory_dv;
    AttentionRows<S> distance_dq;
    Compute<S>* distance_dr = nullptr;  // [batch heads][keys][size]; sums over batch rows are left to the caller
};

// Numbers per kept row of probabilities.
static inline int64_t attention_row(int64_t keys) { return (keys + 31) / 32 * 32; }

// Pairs of a query and a key that it sees, before `hidden`, over all heads: a product over them is 2 size pairs FLOPs.
static inline double attention_pairs(const SoftmaxMask& mask) {
    double pairs = 0;
    for (int64_t b = 0; b < (mask.first ? mask.batch : 1); ++b)
        for (int64_t i = 0; i < mask.queries; ++i) {
            const KeyRange range = visible_keys(mask, b, i);
            pairs += double(range.end > range.begin ? range.end - range.begin : 0);
        }
    return pairs * double(mask.heads) * double(mask.first ? 1 : mask.batch);
}

template <class S> void attention_forward_ref(const AttentionForward<S>& args);
template <class S> void attention_backward_ref(const AttentionBackward<S>& args);
template <class S> void attention_forward(const AttentionForward<S>& args);
template <class S> void attention_backward(const AttentionBackward<S>& args);

}  // namespace lithe::kernels
