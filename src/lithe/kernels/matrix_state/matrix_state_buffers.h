// What checks of matrix states run on: arguments over buffers of waves. Included by *_check.cpp alone.
#pragma once

#include <memory>

#include "lithe/kernels/matrix_state/matrix_state.h"
#include "lithe/kernels/parity.h"

namespace lithe::kernels {
namespace {

template <class S> struct MatrixStateBuffers {
    using C = Compute<S>;
    MatrixStateShape shape;
    bool gated;  // decays are powers of sigmoids; q and k are divided by their lengths
    int64_t rows, states, per_decay;
    TestBuffer<S> q, k, v, gates, out, d_out, dq, dk, dv, d_gates;
    TestBuffer<C> g, dg, start, last, kept, d_last, d_start;
    TestBuffer<C> admit, d_admit, start_sums, last_sums, kept_sums, d_last_sums, d_start_sums;  // with a normaliser
    std::vector<uint8_t> flags;

    MatrixStateBuffers(const MatrixStateShape& s, double strongest, bool by_gates = false, double largest_key = 0.6)
        : shape(s),
          gated(by_gates),
          rows(s.steps * s.batch * s.heads),
          states(s.batch * s.heads),
          per_decay(s.decay == StateDecay::channel ? s.key : 1),
          q(rows * s.key, 0.37, 0.1, 0.7),
          k(rows * s.key, 0.53, 0.7, largest_key),
          v(rows * s.value, 0.91, 0.3, 0.8),
          gates(rows * per_decay, 0.61, 0.3, 20 * strongest),
          out(rows * s.value),
          d_out(rows * s.value, 0.3, 1.57, 0.5),
          dq(rows * s.key),
          dk(rows * s.key),
          dv(rows * s.value),
          d_gates(rows * per_decay),
          g(rows * per_decay, 0.71, 0.4, strongest),
          dg(rows * per_decay),
          start(states * s.state(), 0.77, 0.2, 0.6),
          last(states * s.state()),
          kept(states * state_blocks(s.steps) * s.state()),
          d_last(states * s.state(), 0.5, 0.2, 0.4),
          d_start(states * s.state()),
          admit(s.normalised ? rows : 0, 0.83, 0.9, 20 * strongest),
          d_admit(admit.size()),
          start_sums(s.normalised ? states * s.sums() : 0, 0.67, 0.5, 0.8),
          last_sums(start_sums.size()),
          kept_sums(start_sums.size() * state_blocks(s.steps)),
          d_last_sums(start_sums.size(), 0.43, 0.8, 0.4),
          d_start_sums(start_sums.size()),
          flags(size_t(s.steps * s.batch)) {
        for (int64_t i = 0; i < g.size(); ++i) g.data()[i] = -std::abs(g.data()[i]);
        for (TestBuffer<S>* each : {&q, &k})  // what is divided by does not cancel
            for (int64_t i = 0; s.normalised && i < each->size(); ++i)
                from_compute(C(0.1) + std::abs(to_compute(each->data()[i])), each->data()[i]);
        for (size_t i = 0; i < flags.size(); ++i)
            flags[i] = i % 17 == 3    ? kPadding
                       : i % 41 == 5  ? kDocumentBegins
                       : i % 83 == 12 ? kPadding | kDocumentBegins
                                      : 0;
    }
    template <class T, class U> HeadRows<T> by_head(TestBuffer<U>& buffer, int64_t size) const {
        return {buffer.data(), shape.batch * shape.heads * size, shape.heads * size, size};
    }
    MatrixStateForward<S> forward(bool extras) {
        return {.shape = shape,
                .scale = C(0.3),
                .unit = gated && !shape.normalised ? C(0.05) : C(0),
                .q = by_head<const S>(q, shape.key),
                .k = by_head<const S>(k, shape.key),
                .v = by_head<const S>(v, shape.value),
                .g = gated ? HeadRows<const C>() : by_head<const C>(g, per_decay),
                .gates = gated ? by_head<const S>(gates, per_decay) : HeadRows<const S>(),
                .temperature = C(4),
                .admit = shape.normalised ? by_head<const C>(admit, 1) : HeadRows<const C>(),
                .flags = extras ? flags.data() : nullptr,
                .start = extras ? start.data() : nullptr,
                .out = by_head<S>(out, shape.value),
                .last = last.data(),
                .kept = kept.data(),
                .start_sums = extras ? start_sums.data() : nullptr,
                .last_sums = last_sums.data(),
                .kept_sums = kept_sums.data()};
    }
    MatrixStateBackward<S> backward(bool extras) {
        MatrixStateBackward<S> args{.forward = forward(extras),
                                    .d_out = by_head<const S>(d_out, shape.value),
                                    .d_last = extras ? d_last.data() : nullptr,
                                    .dq = by_head<S>(dq, shape.key),
                                    .dk = by_head<S>(dk, shape.key),
                                    .dv = by_head<S>(dv, shape.value),
                                    .d_start = d_start.data()};
        if (gated) args.d_gates = by_head<S>(d_gates, per_decay);
        else if (shape.decay != StateDecay::none) args.dg = by_head<C>(dg, per_decay);
        if (!shape.normalised) return args;
        args.d_admit = by_head<C>(d_admit, 1);
        args.d_last_sums = extras ? d_last_sums.data() : nullptr;
        args.d_start_sums = d_start_sums.data();
        return args;
    }
    // Bytes that a forward pass reads and writes.
    double moved_forward() const {
        return double(rows) * double(2 * (shape.key + shape.value)) * sizeof(S) +
               double(g.size() + kept.size()) * sizeof(C);
    }
};

const char* decay_name(StateDecay decay) {
    return decay == StateDecay::none ? "no decay" : decay == StateDecay::head ? "by head" : "by channel";
}

template <class S> std::string case_name(const MatrixStateShape& shape) {
    return std::string(storage_name<S>()) + " " + std::to_string(shape.steps) + " x " + std::to_string(shape.key) +
           " x " + std::to_string(shape.value) + " " + decay_name(shape.decay) +
           (shape.normalised ? " normalised" : "");
}

// All that both passes wrote.
template <class S>
void compare_states(ParityResult& result, const MatrixStateBuffers<S>& got, const MatrixStateBuffers<S>& expected,
                    const std::string& what, double slack = 1) {
    const double tolerance = slack * storage_tolerance<S>();
    compare(result, got.out, expected.out, tolerance, what + " out", 2);
    compare(result, got.last, expected.last, tolerance, what + " last");
    compare(result, got.kept, expected.kept, tolerance, what + " kept");
    compare(result, got.dq, expected.dq, tolerance, what + " dq", 2);
    compare(result, got.dk, expected.dk, tolerance, what + " dk", 2);
    compare(result, got.dv, expected.dv, tolerance, what + " dv", 2);
    if (got.gated) compare(result, got.d_gates, expected.d_gates, tolerance, what + " d_gates", 10);
    else if (got.shape.decay != StateDecay::none) compare(result, got.dg, expected.dg, tolerance, what + " dg", 10);
    compare(result, got.d_start, expected.d_start, tolerance, what + " d_start", 2);
    if (!got.shape.normalised) return;
    compare(result, got.last_sums, expected.last_sums, tolerance, what + " last_sums");
    compare(result, got.kept_sums, expected.kept_sums, tolerance, what + " kept_sums");
    compare(result, got.d_admit, expected.d_admit, tolerance, what + " d_admit", 10);
    compare(result, got.d_start_sums, expected.d_start_sums, tolerance, what + " d_start_sums", 10);
}

}  // namespace
}  // namespace lithe::kernels
