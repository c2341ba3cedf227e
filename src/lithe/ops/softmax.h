// Masked softmax of attention scores as a differentiable operator. Formula: kernels/softmax/softmax.h.
#pragma once

#include "lithe/kernels/softmax/softmax.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct AttentionMask {
    bool causal = true;
    int64_t window = -1;  // -1: none; else a query sees positions [p - window, p]
    Tensor hidden_BS;     // uint8, keys that no query sees; undefined: none
    Tensor first_BT;      // int32, first key that a query sees; undefined: 0
};

// Throws, in the name of `op`, when the mask does not fit.
void check_mask(const AttentionMask& mask, int64_t batch, int64_t steps, int64_t keys, const char* op);

// scores [B H][T][S] are overwritten by the probabilities; use only the result afterwards. S - T earlier keys precede
// the first query's own position.
Tensor masked_softmax_(Tensor scores, const AttentionMask& mask, int64_t heads, double scale);

}  // namespace lithe::ops
