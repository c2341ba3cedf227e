#include "lithe/kernels/softmax/softmax.h"

#include <algorithm>
#include <vector>

#include "lithe/base/parallel.h"
#include "lithe/kernels/softmax/softmax_rows.h"

namespace lithe::kernels {
namespace {

template <class S>
void forward_rows(const SoftmaxForward<S>& args, int64_t begin, int64_t end, Compute<S>* scratch, uint8_t* marks) {
    LITHE_CALL_ISA(softmax_forward_rows, args, begin, end, scratch, marks)
}

template <class S>
void backward_rows(const SoftmaxBackward<S>& args, int64_t begin,
                   int64_t end){LITHE_CALL_ISA(softmax_backward_rows, args, begin, end)}

int64_t rows_of(const SoftmaxMask& mask) {
    return mask.batch * mask.heads * mask.queries;
}

int64_t grain_of(const SoftmaxMask& mask) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, mask.keys)); }

}  // namespace

template <class S> void softmax_forward(const SoftmaxForward<S>& args) {
    parallel_for(rows_of(args.mask), grain_of(args.mask), [&](int64_t begin, int64_t end) {
        std::vector<Compute<S>> scratch(static_cast<size_t>(args.mask.keys));
        std::vector<uint8_t> marks(args.mask.spans.lists ? scratch.size() : 0);
        forward_rows(args, begin, end, scratch.data(), marks.data());
    });
}

template <class S> void softmax_backward(const SoftmaxBackward<S>& args) {
    parallel_for(rows_of(args.mask), grain_of(args.mask),
                 [&](int64_t begin, int64_t end) { backward_rows(args, begin, end); });
}

#define LITHE_INSTANTIATE(S)                                    \
    template void softmax_forward<S>(const SoftmaxForward<S>&); \
    template void softmax_backward<S>(const SoftmaxBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
