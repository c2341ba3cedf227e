// The part of attention that is compiled per instruction set: one task is one head of one batch row.
#pragma once

#include "lithe/kernels/attention/attention.h"
#include "lithe/kernels/dispatch.h"

namespace lithe::kernels {

// Bytes of scratch that a task needs, aligned to 64.
LITHE_DECLARE_ISAS(template <class S> int64_t attention_scratch(const AttentionForward<S>& args, bool backward))
LITHE_DECLARE_ISAS(template <class S> void attention_forward_heads(const AttentionForward<S>& args, int64_t begin,
                                                                   int64_t end, char* scratch))
LITHE_DECLARE_ISAS(template <class S> void attention_backward_heads(const AttentionBackward<S>& args, int64_t begin,
                                                                    int64_t end, char* scratch))

}  // namespace lithe::kernels
