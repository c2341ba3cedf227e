// One step of every cell and its gradients, on vectors of one row of a head (formulas: gated.h). Included as vec.h is.
#pragma once

#include "lithe/kernels/gated/gated.h"
#include "lithe/kernels/simd/log.h"
#include "lithe/kernels/simd/product.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// What a row of a step is made of and made to.
template <class S> struct StepRow {
    using C = Compute<S>;
    const S* u = nullptr;     // forward
    const C* sums = nullptr;  // W h
    const C* b = nullptr;
    S* gates = nullptr;
    C *c_out = nullptr, *c = nullptr, *l = nullptr;  // c and l of before and then of now
    S* h = nullptr;
};
template <class S> struct GradientRow {
    using C = Compute<S>;
    const S *gates = nullptr, *dh = nullptr;
    const C *c = nullptr, *c_before = nullptr, *carry_h = nullptr;
    C *carry_c = nullptr, *carry_l = nullptr;  // dc and dl of now and then of before
    S* du = nullptr;
};

struct LstmCell {
    static constexpr int64_t kGates = 4, kBiases = 0;
    static constexpr bool kHasNormaliser = false;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            auto plane = [&](int64_t p) { return part.get(row.u + p * d + n) + part.get(row.sums + p * d + n); };
            const V i = sigmoid(plane(0)), f = sigmoid(plane(1)), g = tanh(plane(2)), o = sigmoid(plane(3));
            const V now = f * part.get(row.c + n) + i * g;
            if (row.gates) {
                part.put(row.gates + n, i);
                part.put(row.gates + d + n, f);
                part.put(row.gates + 2 * d + n, g);
                part.put(row.gates + 3 * d + n, o);
            }
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, o * tanh(now));
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V i = part.get(row.gates + n), f = part.get(row.gates + d + n), g = part.get(row.gates + 2 * d + n),
                    o = part.get(row.gates + 3 * d + n), y = tanh(part.get(row.c + n));
            const V delta_h = part.get(row.dh + n) + part.get(row.carry_h + n);
            const V delta_c = part.get(row.carry_c + n) + delta_h * o * (1 - y * y);
            part.put(row.du + n, delta_c * g * i * (1 - i));
            part.put(row.du + d + n, delta_c * part.get(row.c_before + n) * f * (1 - f));
            part.put(row.du + 2 * d + n, delta_c * i * (1 - g * g));
            part.put(row.du + 3 * d + n, delta_h * y * o * (1 - o));
            part.put(row.carry_c + n, delta_c * f);
        });
    }
    // The gradient of W h, from du.
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) { convert(du, to, 4 * d); }
};

// Its c is h before it was rounded to storage.
struct GruCell {
    static constexpr int64_t kGates = 3, kBiases = 1;
    static constexpr bool kHasNormaliser = false;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            auto plane = [&](int64_t p) { return part.get(row.u + p * d + n) + part.get(row.sums + p * d + n); };
            const V r = sigmoid(plane(0)), z = sigmoid(plane(1));
            const V q = part.get(row.sums + 2 * d + n) + part.get(row.b + n);
            const V fresh = tanh(part.get(row.u + 2 * d + n) + r * q);
            const V now = fresh + z * (part.get(row.c + n) - fresh);
            if (row.gates) {
                part.put(row.gates + n, r);
                part.put(row.gates + d + n, z);
                part.put(row.gates + 2 * d + n, fresh);
                part.put(row.gates + 3 * d + n, q);
            }
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, now);
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V r = part.get(row.gates + n), z = part.get(row.gates + d + n),
                    fresh = part.get(row.gates + 2 * d + n), q = part.get(row.gates + 3 * d + n);
            const V delta = part.get(row.dh + n) + part.get(row.carry_h + n) + part.get(row.carry_c + n);
            const V delta_n = delta * (1 - z) * (1 - fresh * fresh);
            part.put(row.du + n, delta_n * q * r * (1 - r));
            part.put(row.du + d + n, delta * (part.get(row.c_before + n) - fresh) * z * (1 - z));
            part.put(row.du + 2 * d + n, delta_n);
            part.put(row.du + 3 * d + n, delta_n * r);
            part.put(row.carry_c + n, delta * z);
        });
    }
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) {
        convert(du, to, 2 * d);
        convert(du + 3 * d, to + 2 * d, d);
    }
};

// Its c is h before it was rounded to storage.
struct AtrCell {
    static constexpr int64_t kGates = 1, kBiases = 1;
    static constexpr bool kHasNormaliser = false;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V p = part.get(row.u + n), q = part.get(row.sums + n) + part.get(row.b + n);
            const V i = sigmoid(p + q), f = sigmoid(p - q), now = tanh(i * p + f * part.get(row.c + n));
            if (row.gates) {
                part.put(row.gates + n, i);
                part.put(row.gates + d + n, f);
                part.put(row.gates + 2 * d + n, p);
                part.put(row.gates + 3 * d + n, q);
            }
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, now);
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V i = part.get(row.gates + n), f = part.get(row.gates + d + n), p = part.get(row.gates + 2 * d + n),
                    c = part.get(row.c + n);
            const V sum = part.get(row.dh + n) + part.get(row.carry_h + n) + part.get(row.carry_c + n);
            const V delta = sum * (1 - c * c), delta_i = delta * p * i * (1 - i),
                    delta_f = delta * part.get(row.c_before + n) * f * (1 - f);
            part.put(row.du + n, delta * i + delta_i + delta_f);
            part.put(row.du + d + n, V{});
            part.put(row.du + 2 * d + n, V{});
            part.put(row.du + 3 * d + n, delta_i - delta_f);
            part.put(row.carry_c + n, delta * f);
        });
    }
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) { convert(du + 3 * d, to, d); }
};

// What is kept of k is its logit, so that neither k nor 1 - k is lost to rounding.
struct SlstmCell {
    static constexpr int64_t kGates = 4, kBiases = 4;
    static constexpr bool kHasNormaliser = true;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            auto plane = [&](int64_t p) {
                return part.get(row.u + p * d + n) + part.get(row.sums + p * d + n) + part.get(row.b + p * d + n);
            };
            const V i = plane(0), f = plane(1), z = tanh(plane(2)), o = sigmoid(plane(3));
            const V a = log_sigmoid(f) + part.get(row.l + n), logit = a - i;
            const V now = z + sigmoid(logit) * (part.get(row.c + n) - z);
            if (row.gates) {
                part.put(row.gates + n, logit);
                part.put(row.gates + d + n, f);
                part.put(row.gates + 2 * d + n, z);
                part.put(row.gates + 3 * d + n, o);
            }
            part.put(row.l + n, max(a, i) + log_one_plus(exp(min(logit, -logit))));
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, o * now);
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V logit = part.get(row.gates + n), k = sigmoid(logit), admit = sigmoid(-logit);
            const V z = part.get(row.gates + 2 * d + n), o = part.get(row.gates + 3 * d + n);
            const V delta_h = part.get(row.dh + n) + part.get(row.carry_h + n), dl = part.get(row.carry_l + n);
            const V delta_c = part.get(row.carry_c + n) + delta_h * o;
            const V delta_k = delta_c * (part.get(row.c_before + n) - z) * k * admit, delta_a = delta_k + dl * k;
            part.put(row.du + n, dl * admit - delta_k);
            part.put(row.du + d + n, delta_a * sigmoid(-part.get(row.gates + d + n)));
            part.put(row.du + 2 * d + n, delta_c * admit * (1 - z * z));
            part.put(row.du + 3 * d + n, delta_h * part.get(row.c + n) * o * (1 - o));
            part.put(row.carry_c + n, delta_c * k);
            part.put(row.carry_l + n, delta_a);
        });
    }
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) { convert(du, to, 4 * d); }
};

template <class F> void with_cell(GatedCell cell, const F& f) {
    switch (cell) {
        case GatedCell::lstm: return f(LstmCell());
        case GatedCell::gru: return f(GruCell());
        case GatedCell::atr: return f(AtrCell());
        case GatedCell::slstm: return f(SlstmCell());
    }
}

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
