#include "lithe/kernels/cross_entropy/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "lithe/base/parallel.h"
#include "lithe/kernels/cross_entropy/cross_entropy_rows.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kRows = 32;

template <class S>
void sums(const CrossEntropyArgs<S>& args, int64_t begin, int64_t end, RowSums<Compute<S>>* of_rows) {
    LITHE_CALL_ISA(cross_entropy_sums, args, begin, end, of_rows)
}

template <class S> Compute<S> loss_of(const CrossEntropyArgs<S>& args, int64_t n, Compute<S> sum_of_logits) {
    const int64_t target = args.targets[n];
    if (target < 0) return 0;
    const Compute<S> logit =
        to_compute(args.logits[n * args.vocabulary + target]) + (args.bias ? args.bias[target] : Compute<S>(0));
    return args.lse[n] - args.at_target() * logit - args.each() * sum_of_logits;
}

template <class S> void gradient(const CrossEntropyArgs<S>& args, int64_t begin, int64_t end) {
    LITHE_CALL_ISA(cross_entropy_gradient, args, begin, end)
}

}  // namespace

template <class S> void cross_entropy_forward(const CrossEntropyArgs<S>& args) {
    parallel_for((args.rows + kRows - 1) / kRows, 1, [&](int64_t first, int64_t last) {
        RowSums<Compute<S>> of_rows[kRows];
        for (int64_t begin = first * kRows; begin < std::min(last * kRows, args.rows); begin += kRows) {
            int64_t end = std::min(begin + kRows, args.rows);
            sums(args, begin, end, of_rows);
            for (int64_t n = begin; n < end; ++n) {
                const auto& row = of_rows[n - begin];
                args.lse[n] = row.highest + std::log(row.total);
                args.loss[n] = loss_of(args, n, row.logits);
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
