#include <cmath>
#include <vector>

#include "lithe/kernels/gated/gated.h"

namespace lithe::kernels {
namespace {

template <class C> C sigmoid(C x) { return 1 / (1 + std::exp(-x)); }

// Where the numbers of one batch row lie.
template <class S> struct Row {
    using C = Compute<S>;
    const GatedForward<S>& a;
    int64_t b;

    int64_t at(int64_t t, int64_t n) const { return (t * a.shape.batch + b) * a.shape.width + n; }
    int64_t gate(int64_t t, int64_t plane, int64_t n) const {
        return ((t * a.shape.batch + b) * kKeptGates + plane) * a.shape.width + n;
    }
    bool is(int64_t t, uint8_t flag) const { return a.flags && (a.flags[t * a.shape.batch + b] & flag); }
    C h_before(int64_t t, int64_t n) const {
        if (is(t, kDocumentBegins)) return 0;
        if (t > 0) return to_compute(a.h[at(t - 1, n)]);
        return a.h0 ? to_compute(a.h0[b * a.shape.width + n]) : C(0);
    }
    C c_before(int64_t t, int64_t n) const {
        if (is(t, kDocumentBegins)) return 0;
        if (t > 0) return a.c[at(t - 1, n)];
        return a.c0 ? a.c0[b * a.shape.width + n] : C(0);
    }
    C u(int64_t t, int64_t plane, int64_t n) const {
        return to_compute(a.u[((t * a.shape.batch + b) * a.shape.gates() + plane) * a.shape.width + n]);
    }
    C product(int64_t t, int64_t plane, int64_t n) const {
        C total = 0;
        const S* w = a.w + (plane * a.shape.width + n) * a.shape.width;
        for (int64_t k = 0; k < a.shape.width; ++k) total += to_compute(w[k]) * h_before(t, k);
        return total;
    }
};

template <class C> struct Step {
    C gates[kKeptGates] = {}, c = 0, h = 0;
};

template <class S> Step<Compute<S>> step(const Row<S>& row, int64_t t, int64_t n) {
    const auto sum = [&](int64_t plane) { return row.u(t, plane, n) + row.product(t, plane, n); };
    Step<Compute<S>> s;
    const Compute<S> before = row.c_before(t, n);
    if (row.a.shape.cell == GatedCell::lstm) {
        for (int64_t plane = 0; plane < 4; ++plane)
            s.gates[plane] = plane == 2 ? std::tanh(sum(plane)) : sigmoid(sum(plane));
        s.c = s.gates[1] * before + s.gates[0] * s.gates[2];
        s.h = s.gates[3] * std::tanh(s.c);
        return s;
    }
    if (row.a.shape.cell == GatedCell::atr) {
        const Compute<S> p = row.u(t, 0, n), q = row.product(t, 0, n) + row.a.b[n];
        s.gates[0] = sigmoid(p + q);
        s.gates[1] = sigmoid(p - q);
        s.gates[2] = p;
        s.gates[3] = q;
        s.c = s.h = std::tanh(s.gates[0] * p + s.gates[1] * before);
        return s;
    }
    const Compute<S> r = sigmoid(sum(0)), z = sigmoid(sum(1)), q = row.product(t, 2, n) + row.a.b[n];
    const Compute<S> fresh = std::tanh(row.u(t, 2, n) + r * q);
    s.gates[0] = r;
    s.gates[1] = z;
    s.gates[2] = fresh;
    s.gates[3] = q;
    s.c = s.h = (1 - z) * fresh + z * before;
    return s;
}

// Gradients of a step that is no padding, from those of h_t and c_t: of the four planes, and of c_{t-1} past the
// product.
template <class S>
void gradients(const Row<S>& row, int64_t t, int64_t n, Compute<S> dh, Compute<S> dc, Compute<S> (&du)[kKeptGates],
               Compute<S>& dc_before) {
    using C = Compute<S>;
    const auto gate = [&](int64_t plane) { return to_compute(row.a.gates[row.gate(t, plane, n)]); };
    if (row.a.shape.cell == GatedCell::lstm) {
        const C i = gate(0), f = gate(1), g = gate(2), o = gate(3), y = std::tanh(row.a.c[row.at(t, n)]);
        const C delta = dc + dh * o * (1 - y * y);
        du[0] = delta * g * i * (1 - i);
        du[1] = delta * row.c_before(t, n) * f * (1 - f);
        du[2] = delta * i * (1 - g * g);
        du[3] = dh * y * o * (1 - o);
        dc_before = delta * f;
        return;
    }
    if (row.a.shape.cell == GatedCell::atr) {
        const C i = gate(0), f = gate(1), p = gate(2), c = row.a.c[row.at(t, n)], delta = (dc + dh) * (1 - c * c);
        const C delta_i = delta * p * i * (1 - i), delta_f = delta * row.c_before(t, n) * f * (1 - f);
        du[0] = delta * i + delta_i + delta_f;
        du[3] = delta_i - delta_f;
        dc_before = delta * f;
        return;
    }
    const C r = gate(0), z = gate(1), fresh = gate(2), q = gate(3), delta = dc + dh;
    du[2] = delta * (1 - z) * (1 - fresh * fresh);
    du[1] = delta * (row.c_before(t, n) - fresh) * z * (1 - z);
    du[0] = du[2] * q * r * (1 - r);
    du[3] = du[2] * r;
    dc_before = delta * z;
}

}  // namespace

template <class S> void gated_forward_ref(const GatedForward<S>& a) {
    const int64_t d = a.shape.width;
    for (int64_t b = 0; b < a.shape.batch; ++b) {
        const Row<S> row{a, b};
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            for (int64_t n = 0; n < d; ++n) {
                Step<Compute<S>> s;
                s.c = row.c_before(t, n);
                s.h = row.h_before(t, n);
                if (!row.is(t, kPadding)) s = step(row, t, n);
                for (int64_t plane = 0; plane < kKeptGates; ++plane)
                    from_compute(s.gates[plane], a.gates[row.gate(t, plane, n)]);
                a.c[row.at(t, n)] = s.c;
                from_compute(s.h, a.h[row.at(t, n)]);
            }
        }
        for (int64_t n = 0; n < d; ++n) a.c_last[b * d + n] = a.c[row.at(a.shape.steps - 1, n)];
    }
}

template <class S> void gated_backward_ref(const GatedBackward<S>& args) {
    using C = Compute<S>;
    const GatedForward<S>& a = args.forward;
    const int64_t d = a.shape.width, gates = a.shape.gates();
    for (int64_t b = 0; b < a.shape.batch; ++b) {
        const Row<S> row{a, b};
        std::vector<C> carry_h(size_t(d), C(0)), carry_c(size_t(d), C(0));
        for (int64_t n = 0; args.dc_last && n < d; ++n) carry_c[size_t(n)] = args.dc_last[b * d + n];
        for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
            for (int64_t n = 0; n < d; ++n) {
                const C dh = carry_h[size_t(n)] + to_compute(args.dh[row.at(t, n)]);
                C du[kKeptGates] = {};
                carry_h[size_t(n)] = row.is(t, kPadding) ? dh : 0;
                if (!row.is(t, kPadding)) gradients(row, t, n, dh, carry_c[size_t(n)], du, carry_c[size_t(n)]);
                for (int64_t plane = 0; plane < kKeptGates; ++plane)
                    from_compute(du[plane], args.du[row.gate(t, plane, n)]);
            }
            // but for lstm, the last product has the fourth plane
            for (int64_t plane = 0; plane < gates; ++plane)
                for (int64_t n = 0; n < d; ++n) {
                    const int64_t from = gates < kKeptGates && plane == gates - 1 ? 3 : plane;
                    for (int64_t k = 0; k < d; ++k)
                        carry_h[size_t(k)] +=
                            to_compute(args.du[row.gate(t, from, n)]) * to_compute(a.w[(plane * d + n) * d + k]);
                }
            for (int64_t n = 0; row.is(t, kDocumentBegins) && n < d; ++n) carry_h[size_t(n)] = carry_c[size_t(n)] = 0;
        }
        for (int64_t n = 0; n < d; ++n) {
            args.dh0[b * d + n] = carry_h[size_t(n)];
            args.dc0[b * d + n] = carry_c[size_t(n)];
        }
    }
}

#define LITHE_INSTANTIATE(S)                                    \
    template void gated_forward_ref<S>(const GatedForward<S>&); \
    template void gated_backward_ref<S>(const GatedBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
