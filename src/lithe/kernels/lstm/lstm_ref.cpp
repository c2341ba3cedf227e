#include <cmath>
#include <vector>

#include "lithe/kernels/lstm/lstm.h"

namespace lithe::kernels {
namespace {

template <class C> C sigmoid(C x) { return 1 / (1 + std::exp(-x)); }

// Where the numbers of one batch row lie.
template <class S> struct Row {
    using C = Compute<S>;
    const LstmForward<S>& a;
    int64_t b;

    int64_t at(int64_t t, int64_t n) const { return (t * a.shape.batch + b) * a.shape.width + n; }
    int64_t gate(int64_t t, int64_t plane, int64_t n) const {
        return ((t * a.shape.batch + b) * 4 + plane) * a.shape.width + n;
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
    C sum(int64_t t, int64_t plane, int64_t n) const {
        C total = to_compute(a.u[gate(t, plane, n)]);
        const S* w = a.w + (plane * a.shape.width + n) * a.shape.width;
        for (int64_t k = 0; k < a.shape.width; ++k) total += to_compute(w[k]) * h_before(t, k);
        return total;
    }
};

}  // namespace

template <class S> void lstm_forward_ref(const LstmForward<S>& a) {
    using C = Compute<S>;
    const int64_t d = a.shape.width;
    for (int64_t b = 0; b < a.shape.batch; ++b) {
        const Row<S> row{a, b};
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            for (int64_t n = 0; n < d; ++n) {
                C gates[4] = {}, c = row.c_before(t, n), h = row.h_before(t, n);
                if (!row.is(t, kPadding)) {
                    for (int64_t plane = 0; plane < 4; ++plane) {
                        const C x = row.sum(t, plane, n);
                        gates[plane] = plane == 2 ? std::tanh(x) : sigmoid(x);
                    }
                    c = gates[1] * c + gates[0] * gates[2];
                    h = gates[3] * std::tanh(c);
                }
                for (int64_t plane = 0; plane < 4; ++plane) from_compute(gates[plane], a.gates[row.gate(t, plane, n)]);
                a.c[row.at(t, n)] = c;
                from_compute(h, a.h[row.at(t, n)]);
            }
        }
        for (int64_t n = 0; n < d; ++n) a.c_last[b * d + n] = a.c[row.at(a.shape.steps - 1, n)];
    }
}

template <class S> void lstm_backward_ref(const LstmBackward<S>& args) {
    using C = Compute<S>;
    const LstmForward<S>& a = args.forward;
    const int64_t d = a.shape.width;
    for (int64_t b = 0; b < a.shape.batch; ++b) {
        const Row<S> row{a, b};
        std::vector<C> carry_h(size_t(d), C(0)), carry_c(size_t(d), C(0));
        for (int64_t n = 0; args.dc_last && n < d; ++n) carry_c[size_t(n)] = args.dc_last[b * d + n];
        for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
            auto gate = [&](int64_t plane, int64_t n) { return to_compute(a.gates[row.gate(t, plane, n)]); };
            auto put = [&](int64_t plane, int64_t n, C v) { from_compute(v, args.du[row.gate(t, plane, n)]); };
            const bool pad = row.is(t, kPadding);
            for (int64_t n = 0; n < d; ++n) {
                C delta_h = carry_h[size_t(n)] + to_compute(args.dh[row.at(t, n)]);
                carry_h[size_t(n)] = pad ? delta_h : 0;
                if (pad) delta_h = 0;
                const C i = gate(0, n), f = gate(1, n), g = gate(2, n), o = gate(3, n);
                const C y = std::tanh(a.c[row.at(t, n)]), delta_c = carry_c[size_t(n)] + delta_h * o * (1 - y * y);
                put(0, n, delta_c * g * i * (1 - i));
                put(1, n, delta_c * row.c_before(t, n) * f * (1 - f));
                put(2, n, pad ? 0 : delta_c * i * (1 - g * g));
                put(3, n, delta_h * y * o * (1 - o));
                carry_c[size_t(n)] = pad ? delta_c : delta_c * f;
            }
            for (int64_t plane = 0; plane < 4; ++plane)
                for (int64_t n = 0; n < d; ++n)
                    for (int64_t k = 0; k < d; ++k)
                        carry_h[size_t(k)] +=
                            to_compute(args.du[row.gate(t, plane, n)]) * to_compute(a.w[(plane * d + n) * d + k]);
            for (int64_t n = 0; row.is(t, kDocumentBegins) && n < d; ++n) carry_h[size_t(n)] = carry_c[size_t(n)] = 0;
        }
        for (int64_t n = 0; n < d; ++n)
            args.dh0[b * d + n] = carry_h[size_t(n)], args.dc0[b * d + n] = carry_c[size_t(n)];
    }
}

#define LITHE_INSTANTIATE(S)                                  \
    template void lstm_forward_ref<S>(const LstmForward<S>&); \
    template void lstm_backward_ref<S>(const LstmBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
