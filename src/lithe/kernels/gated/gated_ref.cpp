#include <cmath>
#include <vector>

#include "lithe/kernels/gated/gated.h"

namespace lithe::kernels {
namespace {

template <class C> C sigmoid(C x) { return 1 / (1 + std::exp(-x)); }
template <class C> C log_sigmoid(C x) { return x < 0 ? x - std::log1p(std::exp(x)) : -std::log1p(std::exp(-x)); }

// Where the numbers of one head of one batch row lie.
template <class S> struct Row {
    using C = Compute<S>;
    const GatedForward<S>& a;
    int64_t row;  // of all rows and heads

    int64_t head() const { return row % a.shape.heads; }
    int64_t state(int64_t n) const { return row * a.shape.width + n; }
    int64_t at(int64_t t, int64_t n) const { return (t * a.shape.rows() + row) * a.shape.width + n; }
    int64_t gate(int64_t t, int64_t plane, int64_t n) const {
        return ((t * a.shape.rows() + row) * kKeptGates + plane) * a.shape.width + n;
    }
    bool is(int64_t t, uint8_t flag) const {
        return a.flags && (a.flags[t * a.shape.batch + row / a.shape.heads] & flag);
    }
    C h_before(int64_t t, int64_t n) const {
        if (is(t, kDocumentBegins)) return 0;
        if (t > 0) return to_compute(a.h[at(t - 1, n)]);
        return a.h0 ? to_compute(a.h0[state(n)]) : C(0);
    }
    C c_before(int64_t t, int64_t n) const {
        if (is(t, kDocumentBegins)) return 0;
        if (t > 0) return a.c[at(t - 1, n)];
        return a.c0 ? a.c0[state(n)] : C(0);
    }
    C u(int64_t t, int64_t plane, int64_t n) const {
        return to_compute(a.u[((t * a.shape.rows() + row) * a.shape.gates() + plane) * a.shape.width + n]);
    }
    C b(int64_t plane, int64_t n) const { return a.b[(head() * a.shape.traits().biases + plane) * a.shape.width + n]; }
    int64_t w_at(int64_t plane, int64_t n, int64_t k) const {
        return ((head() * a.shape.gates() + plane) * a.shape.width + n) * a.shape.width + k;
    }
    C product(int64_t t, int64_t plane, int64_t n) const {
        C total = 0;
        for (int64_t k = 0; k < a.shape.width; ++k) total += to_compute(a.w[w_at(plane, n, k)]) * h_before(t, k);
        return total;
    }
};

template <class C> struct Step {
    C gates[kKeptGates] = {}, c = 0, h = 0, l = 0;
};

// As the paper has it, from the state before written with a normaliser of 1.
template <class S> Step<Compute<S>> slstm_step(const Row<S>& row, int64_t t, int64_t n, Compute<S> l_before) {
    using C = Compute<S>;
    const auto sum = [&](int64_t plane) { return row.u(t, plane, n) + row.product(t, plane, n) + row.b(plane, n); };
    const C i = sum(0), f = sum(1), z = std::tanh(sum(2)), o = sigmoid(sum(3));
    const C a = log_sigmoid(f) + l_before, m = std::fmax(a, i);
    const C keep = std::exp(a - m), admit = std::exp(i - m), normaliser = keep + admit;
    Step<C> s{.gates = {a - i, f, z, o}};
    s.c = (keep * row.c_before(t, n) + admit * z) / normaliser;
    s.h = o * s.c;
    s.l = m + std::log(normaliser);
    return s;
}

template <class S> Step<Compute<S>> step(const Row<S>& row, int64_t t, int64_t n, Compute<S> l_before) {
    if (row.a.shape.cell == GatedCell::slstm) return slstm_step(row, t, n, l_before);
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
        const Compute<S> p = row.u(t, 0, n), q = row.product(t, 0, n) + row.b(0, n);
        s.gates[0] = sigmoid(p + q);
        s.gates[1] = sigmoid(p - q);
        s.gates[2] = p;
        s.gates[3] = q;
        s.c = s.h = std::tanh(s.gates[0] * p + s.gates[1] * before);
        return s;
    }
    const Compute<S> r = sigmoid(sum(0)), z = sigmoid(sum(1)), q = row.product(t, 2, n) + row.b(0, n);
    const Compute<S> fresh = std::tanh(row.u(t, 2, n) + r * q);
    s.gates[0] = r;
    s.gates[1] = z;
    s.gates[2] = fresh;
    s.gates[3] = q;
    s.c = s.h = (1 - z) * fresh + z * before;
    return s;
}

// The gradients of the state: of what a step left, then of what it found (that of h past the product).
template <class C> struct StateGradient { C h = 0, c = 0, l = 0; };

// d k = k (1 - k) d(a - i), and l's slope is k by a and 1 - k by i.
template <class S>
void slstm_gradients(const Row<S>& row, int64_t t, int64_t n, StateGradient<Compute<S>>& d,
                     Compute<S> (&du)[kKeptGates]) {
    using C = Compute<S>;
    const auto gate = [&](int64_t plane) { return to_compute(row.a.gates[row.gate(t, plane, n)]); };
    const C k = sigmoid(gate(0)), admit = sigmoid(-gate(0)), z = gate(2), o = gate(3), c = row.a.c[row.at(t, n)];
    const C dc = d.c + d.h * o, dk = dc * (row.c_before(t, n) - z), da = dk * k * admit + d.l * k;
    du[0] = d.l * admit - dk * k * admit;
    du[1] = da * sigmoid(-gate(1));
    du[2] = dc * admit * (1 - z * z);
    du[3] = d.h * c * o * (1 - o);
    d = {0, dc * k, da};
}

// Of a step that is no padding; du: of the four planes.
template <class S>
void gradients(const Row<S>& row, int64_t t, int64_t n, StateGradient<Compute<S>>& d, Compute<S> (&du)[kKeptGates]) {
    using C = Compute<S>;
    if (row.a.shape.cell == GatedCell::slstm) return slstm_gradients(row, t, n, d, du);
    const C dh = d.h, dc = d.c;
    d.h = 0;
    const auto gate = [&](int64_t plane) { return to_compute(row.a.gates[row.gate(t, plane, n)]); };
    if (row.a.shape.cell == GatedCell::lstm) {
        const C i = gate(0), f = gate(1), g = gate(2), o = gate(3), y = std::tanh(row.a.c[row.at(t, n)]);
        const C delta = dc + dh * o * (1 - y * y);
        du[0] = delta * g * i * (1 - i);
        du[1] = delta * row.c_before(t, n) * f * (1 - f);
        du[2] = delta * i * (1 - g * g);
        du[3] = dh * y * o * (1 - o);
        d.c = delta * f;
        return;
    }
    if (row.a.shape.cell == GatedCell::atr) {
        const C i = gate(0), f = gate(1), p = gate(2), c = row.a.c[row.at(t, n)], delta = (dc + dh) * (1 - c * c);
        const C delta_i = delta * p * i * (1 - i), delta_f = delta * row.c_before(t, n) * f * (1 - f);
        du[0] = delta * i + delta_i + delta_f;
        du[3] = delta_i - delta_f;
        d.c = delta * f;
        return;
    }
    const C r = gate(0), z = gate(1), fresh = gate(2), q = gate(3), delta = dc + dh;
    du[2] = delta * (1 - z) * (1 - fresh * fresh);
    du[1] = delta * (row.c_before(t, n) - fresh) * z * (1 - z);
    du[0] = du[2] * q * r * (1 - r);
    du[3] = du[2] * r;
    d.c = delta * z;
}

}  // namespace

template <class S> void gated_forward_ref(const GatedForward<S>& a) {
    using C = Compute<S>;
    const int64_t d = a.shape.width;
    for (int64_t lane = 0; lane < a.shape.rows(); ++lane) {
        const Row<S> row{a, lane};
        std::vector<C> l(static_cast<size_t>(d), C(kNothing));
        for (int64_t n = 0; a.l0 && n < d; ++n) l[size_t(n)] = a.l0[row.state(n)];
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            for (int64_t n = 0; n < d; ++n) {
                C& l_now = l[size_t(n)];
                if (row.is(t, kDocumentBegins)) l_now = C(kNothing);
                Step<C> s{.c = row.c_before(t, n), .h = row.h_before(t, n), .l = l_now};
                if (!row.is(t, kPadding)) s = step(row, t, n, l_now);
                for (int64_t plane = 0; plane < kKeptGates; ++plane)
                    from_compute(s.gates[plane], a.gates[row.gate(t, plane, n)]);
                a.c[row.at(t, n)] = s.c;
                from_compute(s.h, a.h[row.at(t, n)]);
                l_now = s.l;
            }
        }
        for (int64_t n = 0; n < d; ++n) a.c_last[row.state(n)] = a.c[row.at(a.shape.steps - 1, n)];
        for (int64_t n = 0; a.shape.traits().has_normaliser && n < d; ++n) a.l_last[row.state(n)] = l[size_t(n)];
    }
}

// What reaches h of the step before through the product with W.
template <class S>
void product_gradient(const GatedBackward<S>& args, const Row<S>& row, int64_t t,
                      std::vector<StateGradient<Compute<S>>>& carried) {
    const int64_t d = row.a.shape.width, gates = row.a.shape.gates();
    for (int64_t plane = 0; plane < gates; ++plane)
        for (int64_t n = 0; n < d; ++n) {
            // the last product of gru and atr has the fourth plane
            const int64_t from = gates < kKeptGates && plane == gates - 1 ? 3 : plane;
            const auto of_product = to_compute(args.du[row.gate(t, from, n)]);
            for (int64_t k = 0; k < d; ++k)
                carried[size_t(k)].h += of_product * to_compute(row.a.w[row.w_at(plane, n, k)]);
        }
}

template <class S> void gated_backward_ref(const GatedBackward<S>& args) {
    using C = Compute<S>;
    const GatedForward<S>& a = args.forward;
    const int64_t d = a.shape.width;
    for (int64_t lane = 0; lane < a.shape.rows(); ++lane) {
        const Row<S> row{a, lane};
        std::vector<StateGradient<C>> carried(static_cast<size_t>(d));
        for (int64_t n = 0; args.dc_last && n < d; ++n) carried[size_t(n)].c = args.dc_last[row.state(n)];
        for (int64_t n = 0; args.dl_last && n < d; ++n) carried[size_t(n)].l = args.dl_last[row.state(n)];
        for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
            for (int64_t n = 0; n < d; ++n) {
                C du[kKeptGates] = {};
                carried[size_t(n)].h += to_compute(args.dh[row.at(t, n)]);
                if (!row.is(t, kPadding)) gradients(row, t, n, carried[size_t(n)], du);
                for (int64_t plane = 0; plane < kKeptGates; ++plane)
                    from_compute(du[plane], args.du[row.gate(t, plane, n)]);
            }
            product_gradient(args, row, t, carried);
            if (row.is(t, kDocumentBegins)) carried.assign(size_t(d), {});
        }
        for (int64_t n = 0; n < d; ++n) {
            args.dh0[row.state(n)] = carried[size_t(n)].h;
            args.dc0[row.state(n)] = carried[size_t(n)].c;
            if (a.shape.traits().has_normaliser) args.dl0[row.state(n)] = carried[size_t(n)].l;
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
