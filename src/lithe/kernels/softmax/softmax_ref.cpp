#include <algorithm>
#include <cmath>

#include "lithe/kernels/softmax/softmax.h"

namespace lithe::kernels {
namespace {

template <class F> void for_each_row(const SoftmaxMask& mask, const F& work) {
    for (int64_t n = 0; n < mask.batch * mask.heads; ++n)
        for (int64_t i = 0; i < mask.queries; ++i) work(n, i, (n * mask.queries + i) * mask.keys);
}

}  // namespace

template <class S> void softmax_forward_ref(const SoftmaxForward<S>& args) {
    using C = Compute<S>;
    for_each_row(args.mask, [&](int64_t n, int64_t i, int64_t row) {
        const auto visible = [&](int64_t j) { return sees(args.mask, n / args.mask.heads, n % args.mask.heads, i, j); };
        const auto scaled = [&](int64_t j) { return args.scale * to_compute(args.scores[row + j]); };
        C highest = C(kNothing), total = 0;
        for (int64_t j = 0; j < args.mask.keys; ++j)
            if (visible(j)) highest = std::max(highest, scaled(j));
        for (int64_t j = 0; j < args.mask.keys; ++j)
            if (visible(j)) total += std::exp(scaled(j) - highest);
        for (int64_t j = 0; j < args.mask.keys; ++j)
            from_compute(visible(j) ? std::exp(scaled(j) - highest) / total : C(0), args.scores[row + j]);
        if (args.lse) args.lse[n * args.mask.queries + i] = total > 0 ? highest + std::log(total) : C(kNothing);
    });
}

template <class S> void softmax_backward_ref(const SoftmaxBackward<S>& args) {
    using C = Compute<S>;
    for_each_row(args.mask, [&](int64_t n, int64_t i, int64_t row) {
        C dot = args.d_lse ? -args.d_lse[n * args.mask.queries + i] : C(0);
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
