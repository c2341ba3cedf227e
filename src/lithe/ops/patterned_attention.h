// Attention over patterns of keys, at the cost of what is seen. On a GPU the scores that a pattern leaves out are made
// and masked.
#pragma once

#include "lithe/ops/attention.h"

namespace lithe::ops {

// A query at key position p sees keys [p - back, p + ahead]; back -1: all before. The mask's own window holds, too.
AttentionOutput local_attention(AttentionInput in, int64_t back, int64_t ahead);

// It sees keys p + k stride, -back <= k <= ahead; back -1: all before. Where segment and memory are whole strides, it
// runs in positions permuted by residue: those of one residue are a row of their own, in which their neighbours lie
// side by side.
AttentionOutput dilated_attention(const AttentionInput& in, int64_t stride, int64_t back, int64_t ahead);

// The lists of key spans that it runs with elsewhere.
KeySpans dilated_spans(int64_t queries, int64_t keys, int64_t stride, int64_t back, int64_t ahead);

}  // namespace lithe::ops
