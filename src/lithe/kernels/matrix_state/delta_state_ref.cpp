#include "lithe/kernels/matrix_state/delta_state.h"
#include "lithe/kernels/matrix_state/matrix_state_head.h"

namespace lithe::kernels {
namespace {

// R_t, in place.
template <class S> void decay(const Head<S>& at, int64_t t, std::vector<Compute<S>>& s) {
    for (int64_t c = 0; c < at.key; ++c) {
        const Compute<S> left = at.left(t, c);
        for (int64_t n = 0; n < at.value; ++n) s[size_t(c * at.value + n)] *= left;
    }
}

// v_t - R_t^T k_t
template <class S> std::vector<Compute<S>> lacks(const Head<S>& at, int64_t t, const std::vector<Compute<S>>& decayed) {
    std::vector<Compute<S>> list;
    for (int64_t n = 0; n < at.value; ++n) {
        Compute<S> read = 0;
        for (int64_t c = 0; c < at.key; ++c) read += at.k(t, c) * decayed[size_t(c * at.value + n)];
        list.push_back(at.v(t, n) - read);
    }
    return list;
}

// S_{t-1} becomes S_t.
template <class S>
void advance(const HeadRows<const Compute<S>>& beta, const Head<S>& at, int64_t t, std::vector<Compute<S>>& s) {
    decay(at, t, s);
    const auto lacking = lacks(at, t, s);
    for (int64_t c = 0; c < at.key; ++c)
        for (int64_t n = 0; n < at.value && !at.padded(t); ++n)
            s[size_t(c * at.value + n)] += at.k(t, c) * *beta.row(t, at.b, at.h) * lacking[size_t(n)];
}

// See walk_back().
template <class S>
void step_back(const DeltaStateBackward<S>& args, const Head<S>& at, int64_t t, const std::vector<Compute<S>>& before,
               const std::vector<Compute<S>>& after, std::vector<Compute<S>>& ds) {
    using C = Compute<S>;
    const MatrixStateBackward<S>& in = args.in;
    const bool by_channel = at.a.shape.decay == StateDecay::channel;
    const C beta = at.padded(t) ? C(0) : *args.beta.row(t, at.b, at.h);
    std::vector<C> decayed = before;
    decay(at, t, decayed);
    const std::vector<C> lacking = lacks(at, t, decayed);
    std::vector<C> dq(size_t(at.key)), dk(dq), dv;
    C d_beta = 0, dg_of_head = 0;
    for (int64_t n = 0; n < at.value; ++n) {
        C du = 0;
        for (int64_t c = 0; c < at.key; ++c) {
            C& number = ds[size_t(c * at.value + n)];
            number += at.q(t, c) * at.d_out(in, t, n);
            du += number * at.k(t, c);
        }
        dv.push_back(beta * du);
        d_beta += du * lacking[size_t(n)];
        from_compute(dv.back(), in.dv.row(t, at.b, at.h)[n]);
    }
    for (int64_t c = 0; c < at.key; ++c) {
        const C left = at.left(t, c);
        C dg = 0;
        for (int64_t n = 0; n < at.value; ++n) {
            const auto i = size_t(c * at.value + n), of = size_t(n);
            dq[size_t(c)] += at.a.scale * after[i] * at.d_out(in, t, n);
            dk[size_t(c)] += ds[i] * beta * lacking[of] - decayed[i] * dv[of];
            ds[i] -= at.k(t, c) * dv[of];
            dg += ds[i] * decayed[i];
            ds[i] *= left;
        }
        if (at.padded(t)) dg = 0;  // nothing decays there
        dg_of_head += dg;
        if (by_channel) at.put_decay(in, t, c, dg);
    }
    at.put_rows(in, t, dq, dk);
    if (!by_channel) at.put_decay(in, t, 0, dg_of_head);
    *args.d_beta.row(t, at.b, at.h) = at.padded(t) ? C(0) : d_beta;
}

// The same with a and b.
template <class S> struct LowRank {
    using C = Compute<S>;
    const HeadRows<const S>&a_rows, &b_rows;

    C number(const HeadRows<const S>& rows, const Head<S>& at, int64_t t, int64_t c) const {
        return at.padded(t) ? C(0) : at.number(rows, t, c);
    }
    std::vector<C> read(const Head<S>& at, int64_t t, const std::vector<C>& decayed) const {
        std::vector<C> x(size_t(at.value));
        for (int64_t c = 0; c < at.key; ++c)
            for (int64_t n = 0; n < at.value; ++n)
                x[size_t(n)] += number(a_rows, at, t, c) * decayed[size_t(c * at.value + n)];
        return x;
    }
    void advance(const Head<S>& at, int64_t t, std::vector<C>& s) const {
        decay(at, t, s);
        const auto x = read(at, t, s);
        for (int64_t c = 0; c < at.key; ++c)
            for (int64_t n = 0; n < at.value; ++n)
                s[size_t(c * at.value + n)] += at.k(t, c) * at.v(t, n) - number(b_rows, at, t, c) * x[size_t(n)];
    }
    void step_back(const DeltaStateBackward<S>& args, const Head<S>& at, int64_t t, const std::vector<C>& before,
                   const std::vector<C>& after, std::vector<C>& ds) const {
        const MatrixStateBackward<S>& in = args.in;
        const bool by_channel = at.a.shape.decay == StateDecay::channel;
        std::vector<C> decayed = before, dx, dq(size_t(at.key)), dk(dq), dv(size_t(at.value));
        decay(at, t, decayed);
        const std::vector<C> x = read(at, t, decayed);
        for (int64_t n = 0; n < at.value; ++n) {
            C of_b = 0;
            for (int64_t c = 0; c < at.key; ++c) {
                C& number_of_s = ds[size_t(c * at.value + n)];
                number_of_s += at.q(t, c) * at.d_out(in, t, n);
                of_b += number_of_s * number(b_rows, at, t, c);
                dv[size_t(n)] += number_of_s * at.k(t, c);
            }
            dx.push_back(-of_b);
            from_compute(dv[size_t(n)], in.dv.row(t, at.b, at.h)[n]);
        }
        C dg_of_head = 0;
        for (int64_t c = 0; c < at.key; ++c) {
            const C left = at.left(t, c);
            C da = 0, db = 0, dg = 0;
            for (int64_t n = 0; n < at.value; ++n) {
                const auto i = size_t(c * at.value + n), of = size_t(n);
                dq[size_t(c)] += at.a.scale * after[i] * at.d_out(in, t, n);
                dk[size_t(c)] += ds[i] * at.v(t, n);
                db -= ds[i] * x[of];
                da += decayed[i] * dx[of];
                ds[i] += number(a_rows, at, t, c) * dx[of];
                dg += ds[i] * decayed[i];
                ds[i] *= left;
            }
            from_compute(da, args.da.row(t, at.b, at.h)[c]);
            from_compute(db, args.db.row(t, at.b, at.h)[c]);
            if (at.padded(t)) dg = 0;  // nothing decays there
            dg_of_head += dg;
            if (by_channel) at.put_decay(in, t, c, dg);
        }
        at.put_rows(in, t, dq, dk);
        if (!by_channel) at.put_decay(in, t, 0, dg_of_head);
    }
};

}  // namespace

template <class S> void delta_state_forward_ref(const DeltaStateForward<S>& args) {
    const LowRank<S> low_rank{args.a, args.b};
    walk(args.in, [&](auto&&... of_step) {
        if (args.a.data) low_rank.advance(of_step...);
        else advance<S>(args.beta, of_step...);
    });
}

template <class S> void delta_state_backward_ref(const DeltaStateBackward<S>& args) {
    const LowRank<S> low_rank{args.a, args.b};
    walk_back(
        args.in,
        [&](auto&&... of_step) {
            if (args.a.data) low_rank.advance(of_step...);
            else advance<S>(args.beta, of_step...);
        },
        [&](auto&&... of_step) {
            if (args.a.data) low_rank.step_back(args, of_step...);
            else step_back(args, of_step...);
        });
}

#define LITHE_INSTANTIATE(S)                                               \
    template void delta_state_forward_ref<S>(const DeltaStateForward<S>&); \
    template void delta_state_backward_ref<S>(const DeltaStateBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
