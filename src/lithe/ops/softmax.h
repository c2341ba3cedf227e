// Masked softmax of attention scores as a differentiable operator. Formula: kernels/softmax/softmax.h.
#pragma once

#include "lithe/kernels/softmax/softmax.h"
#include "lithe/ops/key_spans.h"

namespace lithe::ops {

struct AttentionMask {
    bool causal = true;
    int64_t window = -1;  // -1: none; else a query sees positions [p - window, p]
    Tensor hidden_BS;     // uint8, keys that no query sees; undefined: none
    Tensor first_BT;      // int32, first key that a query sees; undefined: 0
    int64_t ahead = 0;    // causal: a query sees keys up to position p + ahead
    KeySpans spans;       // of these, those that lie in its block's spans; undefined: all
};

struct AttentionSizes {
    int64_t batch, heads, steps, keys;
};
// Throws, in the name of `op`, when the mask does not fit.
void check_mask(const AttentionMask& mask, const AttentionSizes& sizes, const char* op);
// The mask as kernels take it.
kernels::SoftmaxMask mask_args(const AttentionMask& mask, const AttentionSizes& sizes);

// scores [B H][T][S] are overwritten by the probabilities; use only the result afterwards. S - T earlier keys precede
// the first query's own position.
Tensor masked_softmax_(Tensor scores, const AttentionMask& mask, int64_t heads, double scale);

// The same, and lse [B H][T] = log sum exp of what a query sees, differentiable too.
struct SoftmaxOutput {
    Tensor probabilities, lse;
};
SoftmaxOutput masked_softmax_with_lse_(Tensor scores, const AttentionMask& mask, int64_t heads, double scale);

}  // namespace lithe::ops
