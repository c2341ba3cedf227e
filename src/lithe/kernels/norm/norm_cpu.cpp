// Compiled once per instruction set. A row stays in the first-level cache over its passes.
#include "lithe/kernels/norm/norm_rows.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// One row of s = x + scale a (kAdd), or of x: by vectors and by single numbers.
template <class S, bool kAdd> struct Row {
    using C = Compute<S>;
    const S *x, *add;
    C scale;
    Row(const NormForward<S>& a, int64_t row)
        : x(a.x + row * a.width),
          add(kAdd ? a.add + row * a.width : nullptr),
          scale(a.scale ? *a.scale : C(1)) {}
    Vec<C> vector(int64_t j) const {
        Vec<C> s = load(x + j);
        if constexpr (kAdd) s += load(add + j) * scale;
        return s;
    }
    C number(int64_t j) const {
        C s = to_compute(x[j]);
        if constexpr (kAdd) s += to_compute(add[j]) * scale;
        return s;
    }
};

template <class S, bool kAdd> void forward(const NormForward<S>& a, int64_t row) {
    using C = Compute<S>;
    using V = Vec<C>;
    const Row<S, kAdd> s(a, row);
    V totals = V{};
    C total = 0;
    sweep(
        0, a.width, [&](int64_t j) { totals += s.vector(j); }, [&](int64_t j) { total += s.number(j); });
    const C mean = (sum(totals) + total) / C(a.width);
    V squares = V{};
    C square = 0;
    sweep(
        0, a.width,
        [&](int64_t j) {
            const V d = s.vector(j) - mean;
            squares += d * d;
        },
        [&](int64_t j) { square += (s.number(j) - mean) * (s.number(j) - mean); });
    const C r = 1 / root((sum(squares) + square) / C(a.width) + C(a.epsilon));
    S* y = a.y + row * a.width;
    sweep(
        0, a.width, [&](int64_t j) { store(y + j, (s.vector(j) - mean) * r * load(a.gain + j) + load(a.bias + j)); },
        [&](int64_t j) { from_compute((s.number(j) - mean) * r * a.gain[j] + a.bias[j], y[j]); });
    a.statistics[2 * row] = mean;
    a.statistics[2 * row + 1] = r;
}

template <class S, bool kAdd> void backward(const NormBackward<S>& args, int64_t row, Compute<S>* sums) {
    using C = Compute<S>;
    using V = Vec<C>;
    const NormForward<S>& a = args.forward;
    const Row<S, kAdd> s(a, row);
    const C mean = a.statistics[2 * row], r = a.statistics[2 * row + 1];
    const S* dy = args.dy + row * a.width;
    C *d_gain = sums, *d_bias = sums + a.width;
    V dns = V{}, dn_ns = V{};
    C dn = 0, dn_n = 0;
    sweep(
        0, a.width,
        [&](int64_t j) {
            const V d = load(dy + j), n = (s.vector(j) - mean) * r, dg = d * n, each = d * load(a.gain + j);
            dns += each;
            dn_ns += each * n;
            store(d_gain + j, load(d_gain + j) + dg);
            store(d_bias + j, load(d_bias + j) + d);
        },
        [&](int64_t j) {
            const C d = to_compute(dy[j]), n = (s.number(j) - mean) * r;
            dn += d * a.gain[j];
            dn_n += d * a.gain[j] * n;
            d_gain[j] += d * n;
            d_bias[j] += d;
        });
    const C mean_dn = (sum(dns) + dn) / C(a.width), mean_dn_n = (sum(dn_ns) + dn_n) / C(a.width);
    S *dx = args.dx + row * a.width, *d_add = kAdd ? args.d_add + row * a.width : nullptr;
    V d_scales = V{};
    C d_scale = 0;
    sweep(
        0, a.width,
        [&](int64_t j) {
            const V ds = (load(dy + j) * load(a.gain + j) - mean_dn - (s.vector(j) - mean) * r * mean_dn_n) * r;
            store(dx + j, ds);
            if constexpr (kAdd) {
                store(d_add + j, ds * s.scale);
                d_scales += ds * load(s.add + j);
            }
        },
        [&](int64_t j) {
            const C ds = (to_compute(dy[j]) * a.gain[j] - mean_dn - (s.number(j) - mean) * r * mean_dn_n) * r;
            from_compute(ds, dx[j]);
            if constexpr (kAdd) {
                from_compute(ds * s.scale, d_add[j]);
                d_scale += ds * to_compute(s.add[j]);
            }
        });
    sums[2 * a.width] += sum(d_scales) + d_scale;
}

}  // namespace

template <class S> void norm_forward_rows(const NormForward<S>& args, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
        if (args.add) forward<S, true>(args, row);
        else forward<S, false>(args, row);
    }
}

template <class S> void norm_backward_rows(const NormBackward<S>& args, int64_t begin, int64_t end, Compute<S>* sums) {
    __builtin_memset(sums, 0, size_t(2 * args.forward.width + 1) * sizeof *sums);
    for (int64_t row = begin; row < end; ++row) {
        if (args.forward.add) backward<S, true>(args, row, sums);
        else backward<S, false>(args, row, sums);
    }
}

#define LITHE_INSTANTIATE(S)                                                     \
    template void norm_forward_rows<S>(const NormForward<S>&, int64_t, int64_t); \
    template void norm_backward_rows<S>(const NormBackward<S>&, int64_t, int64_t, Compute<S>*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
