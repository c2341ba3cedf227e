// The formula with input gates and a normaliser, step by step, for one head of one batch row (matrix_state.h). Included
// by matrix_state_ref.cpp alone.
#pragma once

#include "lithe/kernels/matrix_state/matrix_state_head.h"

namespace lithe::kernels {
namespace {

// S, n and m; or gradients of S and n.
template <class C> struct Normalised {
    std::vector<C> s, n;
    C m = C(kNoSum);
};

// What a step made of them.
template <class C> struct NormalisedStep {
    C left = 1, admit = 0;  // decay, and what keys are multiplied by
    C sum = 0, over = 0;    // scale n^T q; one over what is divided by
    bool by_sum = false;    // which is |sum|, and not e^{-m}
};

template <class S> Normalised<Compute<S>> start_of(const Head<S>& at) {
    using C = Compute<S>;
    Normalised<C> state{at.numbers(at.a.start), std::vector<C>(size_t(at.key))};
    if (!at.a.start_sums) return state;
    const C* sums = at.a.start_sums + (at.b * at.a.shape.heads + at.h) * at.a.shape.sums();
    state.n.assign(sums, sums + at.key);
    state.m = sums[at.key];
    return state;
}

template <class C> void put_sums(const Normalised<C>& state, C* to) {
    std::copy(state.n.begin(), state.n.end(), to);
    to[state.n.size()] = state.m;
}

template <class S>
NormalisedStep<Compute<S>> advance_normalised(const Head<S>& at, int64_t t, Normalised<Compute<S>>& state) {
    using C = Compute<S>;
    NormalisedStep<C> step;
    if (!at.padded(t)) {
        const bool begins = at.flags(t) & kDocumentBegins;
        const C decayed = begins ? C(kNoSum) : at.log_left(t, 0) + state.m, i = at.a.admit.row(t, at.b, at.h)[0];
        const C m = std::max(decayed, i);
        step.left = begins ? C(0) : std::exp(decayed - m);
        step.admit = std::exp(i - m);
        state.m = m;
    } else if (at.flags(t) & kDocumentBegins) {
        step.left = 0;
        state.m = C(kNoSum);
    }
    for (int64_t c = 0; c < at.key; ++c) {
        const C k = step.admit * at.k(t, c);
        for (int64_t n = 0; n < at.value; ++n) {
            C& number = state.s[size_t(c * at.value + n)];
            number = step.left * number + k * at.v(t, n);
        }
        state.n[size_t(c)] = step.left * state.n[size_t(c)] + k;
        step.sum += at.q(t, c) * state.n[size_t(c)];
    }
    const C least = std::exp(std::clamp(-state.m, C(-kFarthestSum), C(kFarthestSum)));
    step.by_sum = std::abs(step.sum) > least;
    step.over = 1 / std::max(std::abs(step.sum), least);
    return step;
}

template <class S> void normalised_forward(const MatrixStateForward<S>& a) {
    using C = Compute<S>;
    for_each_head(a, [&](const Head<S>& at) {
        Normalised<C> state = start_of(at);
        const int64_t head = at.b * a.shape.heads + at.h;
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            if (a.kept && t % kStateBlock == 0) {
                const int64_t block = head * state_blocks(a.shape.steps) + t / kStateBlock;
                std::copy(state.s.begin(), state.s.end(), a.kept + block * a.shape.state());
                put_sums(state, a.kept_sums + block * a.shape.sums());
            }
            const NormalisedStep<C> step = advance_normalised(at, t, state);
            for (int64_t n = 0; n < at.value; ++n) {
                C o = 0;
                for (int64_t c = 0; c < at.key && !at.padded(t); ++c)
                    o += at.q(t, c) * state.s[size_t(c * at.value + n)];
                from_compute(o * step.over, a.out.row(t, at.b, at.h)[n]);
            }
        }
        at.write(state.s, a.last);
        put_sums(state, a.last_sums + head * a.shape.sums());
    });
}

// Gradients of step t. `d`: of S_t and n_t without the step's own part; then of S_{t-1} and n_{t-1}, without the step
// before's.
template <class S>
void normalised_step_back(const MatrixStateBackward<S>& args, const Head<S>& at, int64_t t,
                          const NormalisedStep<Compute<S>>& step, const Normalised<Compute<S>>& before,
                          const Normalised<Compute<S>>& after, Normalised<Compute<S>>& d) {
    using C = Compute<S>;
    std::vector<C> dq(size_t(at.key)), dk(dq), dv(size_t(at.value));
    C along = 0;  // of the undivided output and its gradient
    for (int64_t c = 0; c < at.key; ++c)
        for (int64_t n = 0; n < at.value; ++n)
            along += at.q(t, c) * after.s[size_t(c * at.value + n)] * at.d_out(args, t, n);
    const C d_sum = step.by_sum ? -along * step.over * step.over * (step.sum < 0 ? C(-1) : C(1)) : C(0);
    C dg = 0, di = 0;
    for (int64_t c = 0; c < at.key; ++c) {
        const auto key = size_t(c);
        d.n[key] += at.q(t, c) * d_sum;
        dq[key] += at.a.scale * after.n[key] * d_sum;
        dk[key] += step.admit * d.n[key];
        for (int64_t n = 0; n < at.value; ++n) {
            const auto i = size_t(c * at.value + n);
            const C d_read = at.d_out(args, t, n) * step.over;
            d.s[i] += at.q(t, c) * d_read;
            dq[key] += at.a.scale * after.s[i] * d_read;
            dk[key] += step.admit * d.s[i] * at.v(t, n);
            dv[size_t(n)] += step.admit * d.s[i] * at.k(t, c);
            dg += d.s[i] * step.left * before.s[i];
            d.s[i] *= step.left;
        }
        dg += d.n[key] * step.left * before.n[key];
        d.n[key] *= step.left;
        di += at.k(t, c) * dk[key];
    }
    at.put_rows(args, t, dq, dk);
    at.put_decay(args, t, 0, at.padded(t) ? C(0) : dg);
    args.d_admit.row(t, at.b, at.h)[0] = di;
    for (int64_t n = 0; n < at.value; ++n) from_compute(dv[size_t(n)], args.dv.row(t, at.b, at.h)[n]);
}

template <class S> void normalised_backward(const MatrixStateBackward<S>& args) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    for_each_head(a, [&](const Head<S>& at) {
        std::vector<Normalised<C>> states = {start_of(at)};
        std::vector<NormalisedStep<C>> steps;
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            states.push_back(states.back());
            steps.push_back(advance_normalised(at, t, states.back()));
        }
        const int64_t sums = (at.b * a.shape.heads + at.h) * a.shape.sums();
        Normalised<C> d{at.numbers(args.d_last), std::vector<C>(size_t(at.key))};
        if (args.d_last_sums) std::copy_n(args.d_last_sums + sums, at.key, d.n.begin());
        for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
            const auto now = size_t(t);
            normalised_step_back(args, at, t, steps[now], states[now], states[now + 1], d);
        }
        // S_0 and n_0 stand for themselves times e^m
        d.m = 0;
        for (size_t i = 0; i < d.s.size(); ++i) d.m += d.s[i] * states[0].s[i];
        for (size_t c = 0; c < d.n.size(); ++c) d.m += d.n[c] * states[0].n[c];
        at.write(d.s, args.d_start);
        put_sums(d, args.d_start_sums + sums);
    });
}

}  // namespace
}  // namespace lithe::kernels
