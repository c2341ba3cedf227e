// Compiled once per instruction set: rows of gated units.
#include "lithe/kernels/glu/glu_rows.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// The activation of a gate and its slope. Saturated arguments are bounded, so that no product of 0 and infinity comes
// up.
template <class V> struct Activated { V value, slope; };

template <GluGate gate, class V> Activated<V> activated(V g) {
    if constexpr (gate == GluGate::relu) {
        const V zero{};
        return {max(g, zero), g > zero ? zero + 1 : zero};
    } else if constexpr (gate == GluGate::gelu) {
        constexpr double kRoot = 0.79788456080286535588, kCubic = 0.044715;
        using C = decltype(sum(V{}));
        const V inner = g * (C(kRoot) + C(kRoot * kCubic) * (g * g));
        // tanh(x) = 2 s(2x) - 1, so that (1 + tanh) / 2 = s(2x)
        const V s = sigmoid(inner * C(2));
        const V slope = s + g * (s * (1 - s)) * (C(2 * kRoot) + C(6 * kRoot * kCubic) * (g * g));
        return {g * s, slope};
    } else {
        const V s = sigmoid(g);
        if constexpr (gate == GluGate::sigmoid) return {s, s * (1 - s)};
        else return {g * s, s + g * (s * (1 - s))};
    }
}

template <GluGate gate, class S> void forward(const GluForward<S>& a, int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
        const S *g = a.g + n * a.row, *u = a.u + n * a.row;
        S* y = a.y + n * a.inner;
        for_each_vector(a.inner, [&](int64_t i, auto how) {
            how.put(y + i, activated<gate>(how.get(g + i)).value * how.get(u + i));
        });
    }
}

template <GluGate gate, class S> void backward(const GluBackward<S>& args, int64_t begin, int64_t end) {
    const GluForward<S>& a = args.forward;
    for (int64_t n = begin; n < end; ++n) {
        const S *g = a.g + n * a.row, *u = a.u + n * a.row, *dy = args.dy + n * a.inner;
        S *dg = args.dg + n * a.row, *du = args.du + n * a.row;
        for_each_vector(a.inner, [&](int64_t i, auto how) {
            const auto act = activated<gate>(how.get(g + i));
            const auto d = how.get(dy + i);
            how.put(dg + i, d * how.get(u + i) * act.slope);
            how.put(du + i, d * act.value);
        });
    }
}

}  // namespace

template <class S> void glu_forward_rows(const GluForward<S>& args, int64_t begin, int64_t end) {
    switch (args.gate) {
        case GluGate::sigmoid: return forward<GluGate::sigmoid>(args, begin, end);
        case GluGate::silu: return forward<GluGate::silu>(args, begin, end);
        case GluGate::gelu: return forward<GluGate::gelu>(args, begin, end);
        case GluGate::relu: return forward<GluGate::relu>(args, begin, end);
    }
}

template <class S> void glu_backward_rows(const GluBackward<S>& args, int64_t begin, int64_t end) {
    switch (args.forward.gate) {
        case GluGate::sigmoid: return backward<GluGate::sigmoid>(args, begin, end);
        case GluGate::silu: return backward<GluGate::silu>(args, begin, end);
        case GluGate::gelu: return backward<GluGate::gelu>(args, begin, end);
        case GluGate::relu: return backward<GluGate::relu>(args, begin, end);
    }
}

#define LITHE_INSTANTIATE(S)                                                   \
    template void glu_forward_rows<S>(const GluForward<S>&, int64_t, int64_t); \
    template void glu_backward_rows<S>(const GluBackward<S>&, int64_t, int64_t);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
