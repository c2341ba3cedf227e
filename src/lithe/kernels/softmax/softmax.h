// Masked softmax of attention scores, in place.
//
//   p_ij = exp(scale s_ij) / sum_j exp(scale s_ij) over the visible keys j of query i, 0 elsewhere
//   ds_ij = scale p_ij (dp_ij - sum_j dp_ij p_ij)
//
// Scores are [batch x heads][queries][keys]; query i stands at key position p = keys - queries + i. Key j is visible
// iff (j <= p when causal) and (j >= p - window when window >= 0) and j >= first[b][i] and not hidden[b][j]. A query
// that sees nothing gets zeros, not NaN. Sums are Compute<Storage>.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

struct SoftmaxMask {
    int64_t batch = 0, heads = 1, queries = 0, keys = 0;
    bool causal = true;
    int64_t window = -1;              // -1: none
    const uint8_t* hidden = nullptr;  // [batch][keys]; null: none
    const int32_t* first = nullptr;   // [batch][queries]; null: 0
};

template <class S> struct SoftmaxForward {
    SoftmaxMask mask;
    Compute<S> scale = 1;
    S* scores = nullptr;  // in: scores, out: probabilities
};

template <class S> struct SoftmaxBackward {
    SoftmaxMask mask;
    Compute<S> scale = 1;
    const S* probabilities = nullptr;
    S* gradient = nullptr;  // in: dp, out: ds
};

template <class S> void softmax_forward_ref(const SoftmaxForward<S>& args);
template <class S> void softmax_backward_ref(const SoftmaxBackward<S>& args);
template <class S> void softmax_forward(const SoftmaxForward<S>& args);
template <class S> void softmax_backward(const SoftmaxBackward<S>& args);

// The keys that query i of batch row b may see, before `hidden`: [begin, end).
struct KeyRange {
    int64_t begin, end;
};
static inline KeyRange visible_keys(const SoftmaxMask& mask, int64_t b, int64_t i) {
    int64_t position = mask.keys - mask.queries + i;
    int64_t begin = 0, end = mask.causal ? position + 1 : mask.keys;
    if (mask.window >= 0 && position - mask.window > begin) begin = position - mask.window;
    if (mask.first && mask.first[b * mask.queries + i] > begin) begin = mask.first[b * mask.queries + i];
    return {begin < end ? begin : end, end};
}

}  // namespace lithe::kernels
