#include <algorithm>
#include <cmath>

#include "lithe/kernels/cross_entropy/cross_entropy.h"

namespace lithe::kernels {
namespace {

template <class S> Compute<S> logit(const CrossEntropyArgs<S>& args, int64_t n, int64_t v) {
    return to_compute(args.logits[n * args.vocabulary + v]) + (args.bias ? args.bias[v] : 0);
}

// q.
template <class S> Compute<S> wanted(const CrossEntropyArgs<S>& args, int64_t n, int64_t v) {
    const auto others = Compute<S>(args.vocabulary - 1);
    if (v == args.targets[n]) return 1 - args.smoothing;
    return args.smoothing > 0 ? args.smoothing / others : Compute<S>(0);
}

}  // namespace

template <class S> void cross_entropy_forward_ref(const CrossEntropyArgs<S>& args) {
    using C = Compute<S>;
    for (int64_t n = 0; n < args.rows; ++n) {
        C highest = -INFINITY, total = 0;
        for (int64_t v = 0; v < args.vocabulary; ++v) highest = std::max(highest, logit(args, n, v));
        for (int64_t v = 0; v < args.vocabulary; ++v) total += std::exp(logit(args, n, v) - highest);
        args.lse[n] = highest + std::log(total);
        args.loss[n] = 0;
        for (int64_t v = 0; args.targets[n] >= 0 && v < args.vocabulary; ++v)
            args.loss[n] += wanted(args, n, v) * (args.lse[n] - logit(args, n, v));
    }
}

template <class S> void cross_entropy_backward_ref(const CrossEntropyArgs<S>& args) {
    using C = Compute<S>;
    for (int64_t n = 0; n < args.rows; ++n) {
        const C weight = args.targets[n] < 0 ? C(0) : args.weight[n];
        for (int64_t v = 0; v < args.vocabulary; ++v) {
            const C difference = std::exp(logit(args, n, v) - args.lse[n]) - wanted(args, n, v);
            from_compute(weight * difference, args.logits[n * args.vocabulary + v]);
        }
    }
}

#define LITHE_INSTANTIATE(S)                                                \
    template void cross_entropy_forward_ref<S>(const CrossEntropyArgs<S>&); \
    template void cross_entropy_backward_ref<S>(const CrossEntropyArgs<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
