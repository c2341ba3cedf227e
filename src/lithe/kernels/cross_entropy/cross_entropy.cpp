#include "lithe/kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/parallel.h"
#include "lithe/kernels/cross_entropy/cross_entropy_rows.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kRows = 32;

template <class S>
void sums(const CrossEntropyArgs<S>& args, int64_t begin, int64_t end, Compute<S>* highest, Compute<S>* total) {
    LITHE_CALL_ISA(cross_entropy_sums, args, begin, end, highest, total)
}

template <class S> void gradient(const CrossEntropyArgs<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(cross_entropy_gradient, args, begin, end)
}

}  // namespace

template <class S> void cross_entropy_forward(const CrossEntropyArgs<S>& args) {
    parallel_for((args.rows + kRows - 1) / kRows, 1, [&](int64_t first, int64_t last) {
        Compute<S> highest[kRows], total[kRows];
        for (int64_t begin = first * kRows; begin < std::min(last * kRows, args.rows); begin += kRows) {
            int64_t end = std::min(begin + kRows, args.rows);
            sums(args, begin, end, highest, total);
            for (int64_t n = begin; n < end; ++n) {
                args.lse[n] = highest[n - begin] + std::log(total[n - begin]);
                int64_t target = args.targets[n];
                args.loss[n] = target < 0 ? Compute<S>(0)
                                          : args.lse[n] - to_compute(args.logits[n * args.vocabulary + target]) -
                                                (args.bias ? args.bias[target] : 0);
            }
        }
    });
}

template <class S> void cross_entropy_backward(const CrossEntropyArgs<S>& args) {
    parallel_for(args.rows, kRows, [&](int64_t begin, int64_t end) { gradient(args, begin, end); });
}

#define LITHE_INSTANTIATE(S)                                            \
    template void cross_entropy_forward<S>(const CrossEntropyArgs<S>&); \
    template void cross_entropy_backward<S>(const CrossEntropyArgs<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
