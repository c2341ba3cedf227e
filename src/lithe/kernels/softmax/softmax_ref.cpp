#include <algorithm>
#include <cmath>

#include "lithe/kernels/softmax/softmax.h"

namespace lithe::kernels {
namespace {

bool visible(const SoftmaxMask& mask, int64_t b, int64_t i, int64_t j) {
    KeyRange range = visible_keys(mask, b, i);
    return j >= range.begin && j < range.end && !(mask.hidden && mask.hidden[b * mask.keys + j]);
}

template <class F> void for_each_row(const SoftmaxMask& mask, const F& work) {
    for (int64_t n = 0; n < mask.batch * mask.heads; ++n)
        for (int64_t i = 0; i < mask.queries; ++i) work(n / mask.heads, i, (n * mask.queries + i) * mask.keys);
}

}  // namespace

template <class S> void softmax_forward_ref(const SoftmaxForward<S>& args) {
    using C = Compute<S>;
    for_each_row(args.mask, [&](int64_t b, int64_t i, int64_t row) {
        C highest = -INFINITY, total = 0;
        for (int64_t j = 0; j < args.mask.keys; ++j)
            if (visible(args.mask, b, i, j)) highest = std::max(highest, args.scale * to_compute(args.scores[row + j]));
        for (int64_t j = 0; j < args.mask.keys; ++j)
            if (visible(args.mask, b, i, j)) total += std::exp(args.scale * to_compute(args.scores[row + j]) - highest);
        for (int64_t j = 0; j < args.mask.keys; ++j) {
            C p = visible(args.mask, b, i, j)
                      ? std::exp(args.scale * to_compute(args.scores[row + j]) - highest) / total
                      : C(0);
            from_compute(p, args.scores[row + j]);
        }
    });
}

template <class S> void softmax_backward_ref(const SoftmaxBackward<S>& args) {
    using C = Compute<S>;
    for_each_row(args.mask, [&](int64_t, int64_t, int64_t row) {
        C dot = 0;
        for (int64_t j = 0; j < args.mask.keys; ++j)
            dot += to_compute(args.gradient[row + j]) * to_compute(args.probabilities[row + j]);
        for (int64_t j = 0; j < args.mask.keys; ++j)
            from_compute(
                args.scale * to_compute(args.probabilities[row + j]) * (to_compute(args.gradient[row + j]) - dot),
                args.gradient[row + j]);
    });
}

#define LITHE_INSTANTIATE(S)                                        \
    template void softmax_forward_ref<S>(const SoftmaxForward<S>&); \
    template void softmax_backward_ref<S>(const SoftmaxBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
