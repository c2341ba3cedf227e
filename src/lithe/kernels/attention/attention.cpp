#include "lithe/kernels/attention/attention.h"

#include <algorithm>

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
template <class S>
void backward_heads(const AttentionBackward<S>& args, int64_t begin, int64_t end,
                    char* scratch){LITHE_CALL_ISA(attention_backward_heads, args, begin, end, scratch)}

// How many of a block's keys lie in the range.
int64_t seen_in(const KeySpans& spans, const QueryBlock& block, const KeyRange& range) {
    int64_t count = 0;
    for (int64_t n = block.first; n < block.last; ++n)
        count += std::max<int64_t>(
            0, std::min<int64_t>(range.end, spans.spans[n].end) - std::max<int64_t>(range.begin, spans.spans[n].begin));
    return count;
}

}  // namespace

double attention_pairs(const SoftmaxMask& mask) {
    const bool by_row = mask.first || mask.spans.by_row, by_head = mask.spans.by_head;
    double pairs = 0;
    for (int64_t b = 0; b < (by_row ? mask.batch : 1); ++b)
        for (int64_t h = 0; h < (by_head ? mask.heads : 1); ++h)
            for (int64_t i = 0; i < mask.queries; ++i) {
                const KeyRange range = visible_keys(mask, b, i);
                pairs += double(mask.spans.lists ? seen_in(mask.spans, block_of(mask, b, h, i), range)
                                                 : range.end - range.begin);
            }
    return pairs * double(by_head ? 1 : mask.heads) * double(by_row ? 1 : mask.batch);
}

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
