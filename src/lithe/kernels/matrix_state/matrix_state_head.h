// What references read of one head of one batch row: numbers of steps, and whole states. Included by *_ref.cpp alone.
#pragma once

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
    std::vector<C> q_length, k_length;

    Head(const MatrixStateForward<S>& args, int64_t row, int64_t head)
        : a(args),
          b(row),
          h(head),
          key(args.shape.key),
          value(args.shape.value),
          q_length(lengths(args.q)),
          k_length(lengths(args.k)) {}
    // One over what each step's row is divided by.
    std::vector<C> lengths(const HeadRows<const S>& rows) const {
        std::vector<C> list;
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            C squares = a.unit;
            for (int64_t c = 0; c < key; ++c) squares += number(rows, t, c) * number(rows, t, c);
            list.push_back(a.unit > 0 ? 1 / std::sqrt(squares) : C(1));
        }
        return list;
    }
    uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
    bool padded(int64_t t) const { return flags(t) & kPadding; }
    C number(const HeadRows<const S>& rows, int64_t t, int64_t i) const { return to_compute(rows.row(t, b, h)[i]); }
    C q(int64_t t, int64_t c) const { return a.scale * q_length[size_t(t)] * number(a.q, t, c); }
    C k(int64_t t, int64_t c) const { return padded(t) ? C(0) : k_length[size_t(t)] * number(a.k, t, c); }
    C v(int64_t t, int64_t n) const { return padded(t) ? C(0) : number(a.v, t, n); }
    // What is left of channel c of the state before step t.
    C left(int64_t t, int64_t c) const {
        if (flags(t) & kDocumentBegins) return 0;
        if (padded(t) || a.shape.decay == StateDecay::none) return 1;
        return std::exp(log_left(t, c));
    }
    C log_left(int64_t t, int64_t c) const {
        const int64_t at = a.shape.decay == StateDecay::channel ? c : 0;
        if (!a.gates.data) return a.g.row(t, b, h)[at];
        const C gate = number(a.gates, t, at),
                log_sigmoid = std::min(gate, C(0)) - std::log1p(std::exp(-std::abs(gate)));
        return log_sigmoid / a.temperature;
    }
    // Gradient of scale q_t^T S_t; zeros at padded steps.
    C d_out(const MatrixStateBackward<S>& args, int64_t t, int64_t n) const {
        return padded(t) ? C(0) : to_compute(args.d_out.row(t, b, h)[n]);
    }
    // Gradients of rows of q and k from those of the rows divided by their length.
    void put_rows(const MatrixStateBackward<S>& args, int64_t t, const std::vector<C>& dq,
                  const std::vector<C>& dk) const {
        put_row(a.q, t, q_length[size_t(t)], dq, args.dq.row(t, b, h));
        put_row(a.k, t, k_length[size_t(t)], dk, args.dk.row(t, b, h));
    }
    void put_row(const HeadRows<const S>& rows, int64_t t, C length, const std::vector<C>& gradient, S* to) const {
        C along = 0;
        for (int64_t c = 0; c < key && a.unit > 0; ++c)
            along += length * length * number(rows, t, c) * gradient[size_t(c)];
        for (int64_t c = 0; c < key; ++c)
            from_compute(length * (gradient[size_t(c)] - along * number(rows, t, c)), to[c]);
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
};

template <class S, class Work> void for_each_head(const MatrixStateForward<S>& a, const Work& work) {
    for (int64_t b = 0; b < a.shape.batch; ++b)
        for (int64_t h = 0; h < a.shape.heads; ++h) work(Head<S>(a, b, h));
}

// Outputs and states, by advance(head, t, S): S_{t-1} becomes S_t.
template <class S, class Advance> void walk(const MatrixStateForward<S>& a, const Advance& advance) {
    using C = Compute<S>;
    for_each_head(a, [&](const Head<S>& at) {
        std::vector<C> s = at.numbers(a.start);
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            if (a.kept && t % kStateBlock == 0)
                std::copy(s.begin(), s.end(),
                          a.kept + ((at.b * a.shape.heads + at.h) * state_blocks(a.shape.steps) + t / kStateBlock) *
                                       at.key * at.value);
            advance(at, t, s);
            for (int64_t n = 0; n < at.value; ++n) {
                C o = 0;
                for (int64_t c = 0; c < at.key && !at.padded(t); ++c) o += at.q(t, c) * s[size_t(c * at.value + n)];
                from_compute(o, a.out.row(t, at.b, at.h)[n]);
            }
        }
        at.write(s, a.last);
    });
}

// Gradients, by step_back(head, t, S_{t-1}, S_t, dS_t without the step's own part): the last becomes dS_{t-1} without
// the step before's.
template <class S, class Advance, class StepBack>
void walk_back(const MatrixStateBackward<S>& args, const Advance& advance, const StepBack& step_back) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    for_each_head(a, [&](const Head<S>& at) {
        std::vector<std::vector<C>> states = {at.numbers(a.start)};
        for (int64_t t = 0; t < a.shape.steps; ++t) {
            states.push_back(states.back());
            advance(at, t, states.back());
        }
        std::vector<C> ds = at.numbers(args.d_last);
        for (int64_t t = a.shape.steps - 1; t >= 0; --t) step_back(at, t, states[size_t(t)], states[size_t(t) + 1], ds);
        at.write(ds, args.d_start);
    });
}

}  // namespace
}  // namespace lithe::kernels
