#include <array>
#include <cmath>

#include "lithe/kernels/recurrence/recurrence.h"

namespace lithe::kernels {
namespace {

// c_{t-1}, the planes, x and the weights: what a step's numbers can be derived by.
constexpr int kInputs = 2 + kMostPlanes + kMostWeights;
constexpr int kState = 0, kX = 1, kPlane = 2, kWeight = 2 + kMostPlanes;

// A number and its derivatives by every input (forward differentiation, Wengert 1964).
template <class C> struct Dual {
    C value = 0;
    std::array<C, kInputs> slope = {};

    Dual(C v = 0) : value(v) {}
    static Dual input(C v, int number) {
        Dual d(v);
        d.slope[size_t(number)] = 1;
        return d;
    }
    Dual by(C v, C derivative) const {
        Dual d(v);
        for (size_t i = 0; i < slope.size(); ++i) d.slope[i] = derivative * slope[i];
        return d;
    }
};
template <class C> Dual<C> operator+(const Dual<C>& a, const Dual<C>& b) {
    Dual<C> d(a.value + b.value);
    for (size_t i = 0; i < d.slope.size(); ++i) d.slope[i] = a.slope[i] + b.slope[i];
    return d;
}
template <class C> Dual<C> operator*(const Dual<C>& a, const Dual<C>& b) {
    Dual<C> d(a.value * b.value);
    for (size_t i = 0; i < d.slope.size(); ++i) d.slope[i] = a.value * b.slope[i] + a.slope[i] * b.value;
    return d;
}
template <class C> Dual<C> operator-(const Dual<C>& a) { return a.by(-a.value, -1); }
template <class C> Dual<C> operator-(const Dual<C>& a, const Dual<C>& b) { return a + -b; }
template <class C> Dual<C> operator/(const Dual<C>& a, const Dual<C>& b) {
    return a * b.by(1 / b.value, -1 / (b.value * b.value));
}

template <class C> Dual<C> sigmoid(const Dual<C>& a) {
    const C s = 1 / (1 + std::exp(-a.value));
    return a.by(s, s * (1 - s));
}
template <class C> Dual<C> tanh(const Dual<C>& a) {
    const C v = std::tanh(a.value);
    return a.by(v, 1 - v * v);
}
template <class C> Dual<C> exp(const Dual<C>& a) { return a.by(std::exp(a.value), std::exp(a.value)); }
template <class C> Dual<C> relu(const Dual<C>& a) { return a.value > 0 ? a : Dual<C>(0); }
// sqrt(1 - e^x), whose root has a slope of at most 1000.
template <class C> Dual<C> complement_root(const Dual<C>& x) {
    const C root = std::sqrt(-std::expm1(x.value));
    return x.by(root, -std::exp(x.value) * std::fmin(C(1000), C(0.5) / root));
}
// Of minGRU and minLSTM.
template <class C> Dual<C> positive(const Dual<C>& v) { return v.value >= 0 ? v + Dual<C>(C(0.5)) : sigmoid(v); }

template <class C> struct Result { Dual<C> c, h; };

template <class C> struct Inputs {
    using D = Dual<C>;
    D c, x;
    std::array<D, kMostPlanes> u;
    std::array<D, kMostWeights> w;
    D mask, alpha;
    bool begins = false;
};

template <class C> Result<C> sru_step(const Inputs<C>& in, bool tanh_of_state, const Dual<C>& skip) {
    using D = Dual<C>;
    const D f = sigmoid(in.u[1] + in.w[0] * in.c + in.w[2]), r = sigmoid(in.u[2] + in.w[1] * in.c + in.w[3]);
    const D c = f * in.c + (D(1) - f) * in.u[0];
    const D g = tanh_of_state ? tanh(c) : c;
    return {c, skip + (g - skip) * in.mask * r};
}

template <class C> Result<C> qrnn_step(const Inputs<C>& in, bool admits, bool shows_gate, bool own_input) {
    using D = Dual<C>;
    const D z = tanh(in.u[0] + in.w[0]), gate = sigmoid(in.u[1] + in.w[1]);
    const D f = admits ? D(1) - in.alpha * gate : gate;
    const D i = own_input ? sigmoid(in.u[3] + in.w[3]) : D(1) - f;
    const D c = f * in.c + i * z;
    return {c, shows_gate ? sigmoid(in.u[2] + in.w[2]) * c : c};
}

template <class C> Result<C> lrn_step(const Inputs<C>& in, bool linear) {
    using D = Dual<C>;
    const D i = sigmoid(in.u[0] + in.w[0] + in.c), f = sigmoid(in.u[1] + in.w[1] - in.c);
    const D sum = i * (in.u[2] + in.w[2]) + f * in.c, c = linear ? sum : tanh(sum);
    return {c, c};
}

template <class C> Result<C> gated_step(const Dual<C>& keep, const Inputs<C>& in, const Dual<C>& candidate) {
    const Dual<C> c = keep * in.c + (Dual<C>(1) - keep) * candidate;
    return {c, c};
}

template <class C> Result<C> rg_lru_step(const Inputs<C>& in) {
    using D = Dual<C>;
    const D log_a = in.w[0] * sigmoid(in.u[0] + in.w[1]), i = sigmoid(in.u[1] + in.w[2]);
    const D c = exp(log_a) * in.c + (in.begins ? D(1) : complement_root(D(2) * log_a)) * i * in.x;
    return {c, c};
}

template <class C> Result<C> step(Cell cell, const Inputs<C>& in) {
    using D = Dual<C>;
    switch (cell) {
        case Cell::sru: return sru_step(in, false, in.alpha * in.x);
        case Cell::sru_tanh: return sru_step(in, true, in.alpha * in.x);
        case Cell::sru_projected: return sru_step(in, false, in.u[3]);
        case Cell::sru_projected_tanh: return sru_step(in, true, in.u[3]);
        case Cell::sru_bare: return sru_step(in, false, D(0));
        case Cell::sru_bare_tanh: return sru_step(in, true, D(0));
        case Cell::min_gru: return gated_step(D(1) - sigmoid(in.u[1]), in, positive(in.u[0]));
        case Cell::min_lstm: {
            const D f = sigmoid(in.u[1]), i = sigmoid(in.u[2]);
            return gated_step(f / (f + i), in, positive(in.u[0]));
        }
        case Cell::lrn: return lrn_step(in, false);
        case Cell::lrn_linear: return lrn_step(in, true);
        case Cell::ssru: {
            const Result<C> result = gated_step(sigmoid(in.u[1] + in.w[0]), in, in.u[0]);
            return {result.c, relu(result.c)};
        }
        case Cell::rg_lru: return rg_lru_step(in);
        case Cell::qrnn_f: return qrnn_step(in, false, false, false);
        case Cell::qrnn_fo: return qrnn_step(in, false, true, false);
        case Cell::qrnn_ifo: return qrnn_step(in, false, true, true);
        case Cell::qrnn_admit_f: return qrnn_step(in, true, false, false);
        case Cell::qrnn_admit_fo: return qrnn_step(in, true, true, false);
    }
    return {};
}

// One column (row b, direction, unit e): where it lies, and what a step reads.
template <class S> struct Column {
    using C = Compute<S>;
    const RecurrenceForward<S>& a;
    int64_t b, direction, e;

    CellTraits cell() const { return traits_of(a.shape.cell); }
    int64_t time(int64_t walked) const { return direction == 0 ? walked : a.shape.steps - 1 - walked; }
    int64_t unit() const { return direction * a.shape.width + e; }
    int64_t state() const { return b * a.shape.columns() + unit(); }
    int64_t row(int64_t t) const { return (t * a.shape.batch + b) * a.shape.columns() + unit(); }
    int64_t u_at(int64_t t, int plane) const {
        return (((t * a.shape.batch + b) * a.shape.directions + direction) * cell().planes + plane) * a.shape.width + e;
    }
    uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
    C start() const { return a.c0 ? a.c0[state()] : 0; }
    Inputs<C> inputs(int64_t walked, C before) const {
        const int64_t t = time(walked);
        Inputs<C> in;
        in.c = Dual<C>::input(before, kState);
        if (cell().reads_x) in.x = Dual<C>::input(to_compute(a.x[row(t)]), kX);
        for (int p = 0; p < cell().planes; ++p)
            in.u[size_t(p)] = Dual<C>::input(to_compute(a.u[u_at(t, p)]), kPlane + p);
        for (int k = 0; k < cell().weights; ++k) in.w[size_t(k)] = Dual<C>::input(a.w[k][unit()], kWeight + k);
        in.mask = a.mask ? a.mask[state()] : C(1);
        in.alpha = a.alpha;
        in.begins = a.shape.whole_start && ((flags(t) & kDocumentBegins) || (walked == 0 && !a.c0));
        return in;
    }
};

template <class S, class F> void for_each_column(const RecurrenceForward<S>& args, const F& work) {
    for (int64_t b = 0; b < args.shape.batch; ++b)
        for (int64_t direction = 0; direction < args.shape.directions; ++direction)
            for (int64_t e = 0; e < args.shape.width; ++e) work(Column<S>{args, b, direction, e});
}

}  // namespace

template <class S> void recurrence_forward_ref(const RecurrenceForward<S>& a) {
    using C = Compute<S>;
    for_each_column(a, [&](const Column<S>& at) {
        C c = at.start();
        for (int64_t walked = 0; walked < a.shape.steps; ++walked) {
            const int64_t t = at.time(walked);
            if (at.flags(t) & kDocumentBegins) c = 0;
            C h = 0;
            if (!(at.flags(t) & kPadding)) {
                const Result<C> next = step(a.shape.cell, at.inputs(walked, c));
                c = next.c.value;
                h = next.h.value;
            }
            from_compute(h, a.h[at.row(t)]);
            if (a.c) a.c[at.row(t)] = c;
        }
        a.c_last[at.state()] = c;
    });
}

template <class S> void recurrence_backward_ref(const RecurrenceBackward<S>& args) {
    using C = Compute<S>;
    const RecurrenceForward<S>& a = args.forward;
    const CellTraits cell = traits_of(a.shape.cell);
    for (int64_t i = 0; i < cell.weights * a.shape.columns(); ++i) args.dw[i] = 0;
    for_each_column(a, [&](const Column<S>& at) {
        C dc = args.dc_last ? args.dc_last[at.state()] : 0;
        for (int64_t walked = a.shape.steps - 1; walked >= 0; --walked) {
            const int64_t t = at.time(walked);
            const bool begins = at.flags(t) & kDocumentBegins;
            const C before = begins ? 0 : walked == 0 ? at.start() : a.c[at.row(at.time(walked - 1))];
            std::array<C, kInputs> slope = {};
            slope[kState] = dc;
            if (!(at.flags(t) & kPadding)) {
                const Result<C> next = step(a.shape.cell, at.inputs(walked, before));
                const C dh = to_compute(args.dh[at.row(t)]);
                for (size_t i = 0; i < slope.size(); ++i) slope[i] = dc * next.c.slope[i] + dh * next.h.slope[i];
            }
            dc = begins ? 0 : slope[kState];
            if (cell.reads_x) from_compute(slope[kX], args.dx[at.row(t)]);
            for (int p = 0; p < cell.planes; ++p) from_compute(slope[size_t(kPlane + p)], args.du[at.u_at(t, p)]);
            for (int k = 0; k < cell.weights; ++k)
                args.dw[k * a.shape.columns() + at.unit()] += slope[size_t(kWeight + k)];
        }
        args.dc0[at.state()] = dc;
    });
}

#define LITHE_INSTANTIATE(S)                                              \
    template void recurrence_forward_ref<S>(const RecurrenceForward<S>&); \
    template void recurrence_backward_ref<S>(const RecurrenceBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
