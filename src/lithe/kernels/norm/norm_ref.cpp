#include <algorithm>
#include <cmath>

#include "lithe/kernels/norm/norm.h"

namespace lithe::kernels {
namespace {

template <class S> Compute<S> scale_of(const NormForward<S>& a) { return a.scale ? *a.scale : Compute<S>(1); }

template <class S> Compute<S> summed(const NormForward<S>& a, int64_t row, int64_t j) {
    const int64_t at = row * a.width + j;
    return to_compute(a.x[at]) + (a.add ? scale_of(a) * to_compute(a.add[at]) : Compute<S>(0));
}

}  // namespace

template <class S> void norm_forward_ref(const NormForward<S>& a) {
    using C = Compute<S>;
    for (int64_t row = 0; row < a.rows; ++row) {
        C mean = 0, variance = 0;
        for (int64_t j = 0; j < a.width; ++j) mean += summed(a, row, j) / C(a.width);
        for (int64_t j = 0; j < a.width; ++j)
            variance += (summed(a, row, j) - mean) * (summed(a, row, j) - mean) / C(a.width);
        const C r = 1 / std::sqrt(variance + C(a.epsilon));
        for (int64_t j = 0; j < a.width; ++j)
            from_compute(a.gain[j] * (summed(a, row, j) - mean) * r + a.bias[j], a.y[row * a.width + j]);
        a.statistics[2 * row] = mean;
        a.statistics[2 * row + 1] = r;
    }
}

template <class S> void norm_backward_ref(const NormBackward<S>& args) {
    using C = Compute<S>;
    const NormForward<S>& a = args.forward;
    const int64_t w = a.width;
    std::fill_n(args.sums, norm_chunks(a.rows) * (2 * w + 1), C(0));
    for (int64_t row = 0; row < a.rows; ++row) {
        C* sums = args.sums + row / kNormChunk * (2 * w + 1);
        const C mean = a.statistics[2 * row], r = a.statistics[2 * row + 1];
        auto normed = [&](int64_t j) { return (summed(a, row, j) - mean) * r; };
        auto dy = [&](int64_t j) { return to_compute(args.dy[row * w + j]); };
        C mean_dn = 0, mean_dn_n = 0;
        for (int64_t j = 0; j < w; ++j) {
            mean_dn += a.gain[j] * dy(j) / C(w);
            mean_dn_n += a.gain[j] * dy(j) * normed(j) / C(w);
            sums[j] += dy(j) * normed(j);
            sums[w + j] += dy(j);
        }
        for (int64_t j = 0; j < w; ++j) {
            const C ds = r * (a.gain[j] * dy(j) - mean_dn - normed(j) * mean_dn_n);
            from_compute(ds, args.dx[row * w + j]);
            if (!a.add) continue;
            from_compute(scale_of(a) * ds, args.d_add[row * w + j]);
            sums[2 * w] += ds * to_compute(a.add[row * w + j]);
        }
    }
}

#define LITHE_INSTANTIATE(S)                                  \
    template void norm_forward_ref<S>(const NormForward<S>&); \
    template void norm_backward_ref<S>(const NormBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
