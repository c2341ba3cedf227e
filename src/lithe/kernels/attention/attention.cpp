#include "lithe/kernels/attention/attention.h"

#include "lithe/base/parallel.h"
#include "lithe/kernels/attention/attention_heads.h"
#include "lithe/kernels/scratch.h"

namespace lithe::kernels {
namespace {

template <class S> int64_t scratch_bytes(const AttentionForward<S>& args, bool backward) {
    LITHE_CALL_ISA(attention_scratch, args, backward)
}
template <class S> void forward_heads(const AttentionForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    LITHE_CALL_ISA(attention_forward_heads, args, begin, end, scratch)
}
template <class S> void backward_heads(const AttentionBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    LITHE_CALL_ISA(attention_backward_heads, args, begin, end, scratch)
}

}  // namespace

template <class S> void attention_forward(const AttentionForward<S>& args) {
    const int64_t bytes = scratch_bytes(args, false);
    parallel_for(args.mask.batch * args.mask.heads, 1,
                 [&](int64_t begin, int64_t end) { forward_heads(args, begin, end, thread_scratch(bytes)); });
}

template <class S> void attention_backward(const AttentionBackward<S>& args) {
    const int64_t bytes = scratch_bytes(args.forward, true);
    parallel_for(args.forward.mask.batch * args.forward.mask.heads, 1,
                 [&](int64_t begin, int64_t end) { backward_heads(args, begin, end, thread_scratch(bytes)); });
}

#define LITHE_INSTANTIATE(S)                                        \
    template void attention_forward<S>(const AttentionForward<S>&); \
    template void attention_backward<S>(const AttentionBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
