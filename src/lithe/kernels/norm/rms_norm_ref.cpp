#include <algorithm>
#include <cmath>

#include "lithe/kernels/norm/rms_norm.h"

namespace lithe::kernels {
namespace {

// One head of one row.
template <class S> struct Row {
    using C = Compute<S>;
    const RmsNormForward<S>& a;
    int64_t row, head;

    int64_t at(int64_t j) const { return (row * a.heads + head) * a.width + j; }
    C x(int64_t j) const { return to_compute(a.x[at(j)]); }
    C z(int64_t j) const { return to_compute(a.z[row * a.z_row + head * a.width + j]); }
    C sigmoid(int64_t j) const { return 1 / (1 + std::exp(-z(j))); }
    C silu(int64_t j) const { return z(j) * sigmoid(j); }
    C slope(int64_t j) const { return sigmoid(j) * (1 + z(j) * (1 - sigmoid(j))); }
    C before(int64_t j) const { return a.gate == NormGate::before ? silu(j) : C(1); }
    C after(int64_t j) const { return a.gate == NormGate::after ? silu(j) : C(1); }
    C s(int64_t j) const { return x(j) * before(j); }
    C& scale() const { return a.scales[row * a.heads + head]; }
};

template <class S, class Work> void for_each_head(const RmsNormForward<S>& a, const Work& work) {
    for (int64_t row = 0; row < a.rows; ++row)
        for (int64_t head = 0; head < a.heads; ++head) work(Row<S>{a, row, head});
}

}  // namespace

template <class S> void rms_norm_forward_ref(const RmsNormForward<S>& a) {
    using C = Compute<S>;
    for_each_head(a, [&](const Row<S>& of) {
        C squares = 0;
        for (int64_t j = 0; j < a.width; ++j) squares += of.s(j) * of.s(j) / C(a.width);
        of.scale() = 1 / std::sqrt(squares + C(a.epsilon));
        for (int64_t j = 0; j < a.width; ++j)
            from_compute(a.gain[j] * of.s(j) * of.scale() * of.after(j), a.y[of.at(j)]);
    });
}

template <class S> void rms_norm_backward_ref(const RmsNormBackward<S>& args) {
    using C = Compute<S>;
    const RmsNormForward<S>& a = args.forward;
    std::fill_n(args.sums, rms_norm_chunks(a.rows) * a.width, C(0));
    for_each_head(a, [&](const Row<S>& of) {
        auto dy = [&](int64_t j) { return to_compute(args.dy[of.at(j)]); };
        auto n = [&](int64_t j) { return of.s(j) * of.scale(); };
        auto dn = [&](int64_t j) { return a.gain[j] * dy(j) * of.after(j); };
        C mean = 0;
        for (int64_t j = 0; j < a.width; ++j) mean += dn(j) * n(j) / C(a.width);
        for (int64_t j = 0; j < a.width; ++j) {
            const C ds = of.scale() * (dn(j) - n(j) * mean);
            from_compute(ds * of.before(j), args.dx[of.at(j)]);
            args.sums[of.row / kRmsNormChunk * a.width + j] += dy(j) * n(j) * of.after(j);
            if (a.gate == NormGate::before) from_compute(ds * of.x(j) * of.slope(j), args.dz[of.at(j)]);
            if (a.gate == NormGate::after) from_compute(dy(j) * a.gain[j] * n(j) * of.slope(j), args.dz[of.at(j)]);
        }
    });
}

#define LITHE_INSTANTIATE(S)                                         \
    template void rms_norm_forward_ref<S>(const RmsNormForward<S>&); \
    template void rms_norm_backward_ref<S>(const RmsNormBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
