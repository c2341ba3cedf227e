#include <algorithm>
#include <cmath>
#include <vector>

#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe::kernels {
namespace {

// One head of one batch row.
template <class S> struct Head {
    using C = Compute<S>;
    const MatrixStateForward<S>& a;
    int64_t b, h, key, value;

    Head(const MatrixStateForward<S>& args, int64_t row, int64_t head)
        : a(args),
          b(row),
          h(head),
          key(args.shape.key),
          value(args.shape.value) {}
    uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
    bool padded(int64_t t) const { return flags(t) & kPadding; }
    C number(const HeadRows<const S>& rows, int64_t t, int64_t i) const { return to_compute(rows.row(t, b, h)[i]); }
    C q(int64_t t, int64_t c) const { return a.scale * number(a.q, t, c); }
    C k(int64_t t, int64_t c) const { return number(a.k, t, c); }
    C v(int64_t t, int64_t n) const { return number(a.v, t, n); }
    // What is left of channel c of the state before step t.
    C left(int64_t t, int64_t c) const {
        if (flags(t) & kDocumentBegins) return 0;
        if (padded(t) || a.shape.decay == StateDecay::none) return 1;
        const int64_t at = a.shape.decay == StateDecay::channel ? c : 0;
        if (!a.gates.data) return std::exp(a.g.row(t, b, h)[at]);
        const C gate = number(a.gates, t, at),
                log_sigmoid = std::min(gate, C(0)) - std::log1p(std::exp(-std::abs(gate)));
        return std::exp(log_sigmoid / a.temperature);
    }
    // dg, or from it the gradient of a gate.
    void put_decay(const MatrixStateBackward<S>& args, int64_t t, int64_t at, C dg) const {
        if (args.dg.data) args.dg.row(t, b, h)[at] = dg;
        if (args.d_gates.data)
            from_compute(dg / (1 + std::exp(number(a.gates, t, at))) / a.temperature, args.d_gates.row(t, b, h)[at]);
    }
    std::vector<C> numbers(const C* from) const {
        const int64_t at = (b * a.shape.heads + h) * key * value;
        return from ? std::vector<C>(from + at, from + at + key * value) : std::vector<C>(size_t(key * value));
    }
    void write(const std::vector<C>& from, C* to) const {
        std::copy(from.begin(), from.end(), to + (b * a.shape.heads + h) * key * value);
    }
    void advance(int64_t t, std::vector<C>& s) const {
        for (int64_t c = 0; c < key; ++c) {
            const C kept = left(t, c), in = padded(t) ? C(0) : k(t, c);
            for (int64_t n = 0; n < value; ++n) {
                C& at = s[size_t(c * value + n)];
                at = kept * at + (padded(t) ? C(0) : in * v(t, n));
            }
        }
    }
};

template <class S, class Work> void for_each_head(const MatrixStateForward<S>& a, const Work& work) {
    for (int64_t b = 0; b < a.shape.batch; ++b)
        for (int64_t h = 0; h < a.shape.heads; ++h) work(Head<S>(a, b, h));
}

// Gradients of one step, from the states on its both sides and dS_t without the step's own part, which becomes dS_{t-1}
// without the step before's.
template <class S>
void step_back(const MatrixStateBackward<S>& args, const Head<S>& at, int64_t t, const std::vector<Compute<S>>& before,
               const std::vector<Compute<S>>& after, std::vector<Compute<S>>& ds) {
    using C = Compute<S>;
    const bool padded = at.padded(t), by_channel = at.a.shape.decay == StateDecay::channel;
    std::vector<C> dv(size_t(at.value));
    C dg_of_head = 0;
    auto d_out = [&](int64_t n) { return padded ? C(0) : to_compute(args.d_out.row(t, at.b, at.h)[n]); };
    for (int64_t c = 0; c < at.key; ++c) {
        const C left = at.left(t, c);
        C dq = 0, dk = 0, dg = 0;
        for (int64_t n = 0; n < at.value; ++n) {
            const auto i = size_t(c * at.value + n);
            if (!padded) {
                ds[i] += at.q(t, c) * d_out(n);
                dq += at.a.scale * after[i] * d_out(n);
                dk += ds[i] * at.v(t, n);
                dv[size_t(n)] += ds[i] * at.k(t, c);
                dg += ds[i] * left * before[i];
            }
            ds[i] *= left;
        }
        from_compute(dq, args.dq.row(t, at.b, at.h)[c]);
        from_compute(dk, args.dk.row(t, at.b, at.h)[c]);
        dg_of_head += dg;
        if (by_channel) at.put_decay(args, t, c, dg);
    }
    if (!by_channel) at.put_decay(args, t, 0, dg_of_head);
    for (int64_t n = 0; n < at.value; ++n) from_compute(dv[size_t(n)], args.dv.row(t, at.b, at.h)[n]);
}

}  // namespace

template <class S> void matrix_state_forward_ref(const MatrixStateForward<S>& a) {
    using C = Compute<S>;
    for_each_head(a, [&](const Head<S>& at) {
        std::vector<C> s = at.numbers(a.start);
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            if (a.kept && t % kStateBlock == 0)
                std::copy(s.begin(), s.end(),
                          a.kept + ((at.b * a.shape.heads + at.h) * state_blocks(a.shape.steps) + t / kStateBlock) *
                                       at.key * at.value);
            at.advance(t, s);
            for (int64_t n = 0; n < at.value; ++n) {
                C o = 0;
                for (int64_t c = 0; c < at.key && !at.padded(t); ++c) o += at.q(t, c) * s[size_t(c * at.value + n)];
                from_compute(o, a.out.row(t, at.b, at.h)[n]);
            }
        }
        at.write(s, a.last);
    });
}

template <class S> void matrix_state_backward_ref(const MatrixStateBackward<S>& args) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    for_each_head(a, [&](const Head<S>& at) {
        std::vector<std::vector<C>> states = {at.numbers(a.start)};
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            states.push_back(states.back());
            at.advance(t, states.back());
        }
        std::vector<C> ds = at.numbers(args.d_last);
        for (int64_t t = a.shape.steps - 1; t >= 0; --t)
            step_back(args, at, t, states[size_t(t)], states[size_t(t) + 1], ds);
        at.write(ds, args.d_start);
    });
}

#define LITHE_INSTANTIATE(S)                                                 \
    template void matrix_state_forward_ref<S>(const MatrixStateForward<S>&); \
    template void matrix_state_backward_ref<S>(const MatrixStateBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
