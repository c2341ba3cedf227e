#include <complex>
#include <vector>

#include "lithe/kernels/diagonal_state/diagonal_state.h"

namespace lithe::kernels {
namespace {

// Where the numbers of one channel of one row lie. Numbers of one part have an imaginary one of 0.
template <class S> struct Channel {
    using C = Compute<S>;
    using Z = std::complex<C>;
    const DiagonalForward<S>& a;
    int64_t b, e;

    bool pairs() const { return a.shape.form == DiagonalForm::pairs; }
    bool is(int64_t t, uint8_t flag) const { return a.flags && (a.flags[t * a.shape.batch + b] & flag); }
    Z number(const S* x, int64_t t) const {
        const S* at = x + (t * a.shape.batch + b) * a.shape.row_numbers() + e;
        return {to_compute(at[0]), pairs() ? to_compute(at[a.shape.width]) : C(0)};
    }
    void put(Z value, S* y, int64_t t) const {
        S* at = y + (t * a.shape.batch + b) * a.shape.row_numbers() + e;
        from_compute(value.real(), at[0]);
        if (pairs()) from_compute(value.imag(), at[a.shape.width]);
    }
    // Number n of the states, or of what is laid out like them; null: 0.
    Z state(const C* all, int64_t n) const {
        if (!all) return 0;
        const C* at = all + n * a.shape.width + e;
        return {at[0], parts_of(a.shape.form) == 2 ? at[a.shape.states * a.shape.width] : C(0)};
    }
    void add_state(Z value, C* all, int64_t n) const {
        C* at = all + n * a.shape.width + e;
        at[0] += value.real();
        if (parts_of(a.shape.form) == 2) at[a.shape.states * a.shape.width] += value.imag();
    }
    void put_state(Z value, C* all, int64_t n) const {
        C* at = all + n * a.shape.width + e;
        at[0] = value.real();
        if (parts_of(a.shape.form) == 2) at[a.shape.states * a.shape.width] = value.imag();
    }
    C* row(C* all, int64_t chunk = 0) const {
        return all ? all + (chunk * a.shape.batch + b) * a.shape.state_numbers() : nullptr;
    }
    const C* row(const C* all) const { return all ? all + b * a.shape.state_numbers() : nullptr; }
};

template <class S, class F> void for_each_channel(const DiagonalForward<S>& args, const F& work) {
    for (int64_t b = 0; b < args.shape.batch; ++b)
        for (int64_t e = 0; e < args.shape.width; ++e) work(Channel<S>{args, b, e});
}

}  // namespace

template <class S> void diagonal_forward_ref(const DiagonalForward<S>& a) {
    using Z = std::complex<Compute<S>>;
    for_each_channel(a, [&](const Channel<S>& at) {
        std::vector<Z> s;
        for (int64_t n = 0; n < a.shape.states; ++n) s.push_back(at.state(at.row(a.s0), n));
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            Z y = 0;
            for (int64_t n = 0; n < a.shape.states; ++n) {
                Z& now = s[size_t(n)];
                if (a.kept && t % kDiagonalChunk == 0) at.put_state(now, at.row(a.kept, t / kDiagonalChunk), n);
                if (at.is(t, kDocumentBegins)) now = 0;
                if (at.is(t, kPadding)) continue;
                now = at.state(a.a, n) * now + at.number(a.x, t);
                y += at.pairs() ? now : Z((at.state(a.c, n) * now).real());
            }
            at.put(y, a.y, t);
        }
        for (int64_t n = 0; n < a.shape.states; ++n) at.put_state(s[size_t(n)], at.row(a.s_last), n);
    });
}

// Of a complex z, a gradient holds the slopes by its real and imaginary part; that of z in w z is conj(w) times that of
// w z.
template <class S> void diagonal_backward_ref(const DiagonalBackward<S>& args) {
    using Z = std::complex<Compute<S>>;
    const DiagonalForward<S>& a = args.forward;
    const int64_t numbers = (a.shape.form == DiagonalForm::pairs ? 1 : 2) * a.shape.state_numbers();
    Compute<S>*da = args.dac, *dc = args.dac + a.shape.state_numbers();
    for (int64_t i = 0; i < numbers; ++i) args.dac[i] = 0;
    for_each_channel(a, [&](const Channel<S>& at) {
        std::vector<Z> dx(static_cast<size_t>(a.shape.steps), Z(0));
        for (int64_t n = 0; n < a.shape.states; ++n) {
            std::vector<Z> before, after;  // by step
            for (int64_t t = 0; t < a.shape.steps; ++t) {
                Z s = t > 0 ? after.back() : at.state(at.row(a.kept, 0), n);
                if (at.is(t, kDocumentBegins)) s = 0;
                before.push_back(s);
                after.push_back(at.is(t, kPadding) ? s : at.state(a.a, n) * s + at.number(a.x, t));
            }
            Z ds = at.state(at.row(args.ds_last), n);
            for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
                if (!at.is(t, kPadding)) {
                    const Z dy = at.number(args.dy, t);
                    ds += at.pairs() ? dy : std::conj(at.state(a.c, n)) * dy;
                    at.add_state(std::conj(before[size_t(t)]) * ds, da, n);
                    if (!at.pairs()) at.add_state(std::conj(after[size_t(t)]) * dy, dc, n);
                    dx[size_t(t)] += ds;
                    ds = std::conj(at.state(a.a, n)) * ds;
                }
                if (at.is(t, kDocumentBegins)) ds = 0;
            }
            at.put_state(ds, at.row(args.ds0), n);
        }
        for (int64_t t = 0; t < a.shape.steps; ++t) at.put(dx[size_t(t)], args.dx, t);
    });
}

#define LITHE_INSTANTIATE(S)                                          \
    template void diagonal_forward_ref<S>(const DiagonalForward<S>&); \
    template void diagonal_backward_ref<S>(const DiagonalBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
