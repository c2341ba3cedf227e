#include <cmath>

#include "lithe/kernels/glu/glu.h"

namespace lithe::kernels {
namespace {

constexpr double kRootTwoOverPi = 0.79788456080286535588, kCubic = 0.044715;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double activation(GluGate gate, double g) {
    switch (gate) {
        case GluGate::sigmoid: return sigmoid(g);
        case GluGate::silu: return g * sigmoid(g);
        case GluGate::gelu: return 0.5 * g * (1 + std::tanh(kRootTwoOverPi * (g + kCubic * g * g * g)));
        case GluGate::relu: return g > 0 ? g : 0;
    }
    return 0;
}

double slope(GluGate gate, double g) {
    const double s = sigmoid(g);
    switch (gate) {
        case GluGate::sigmoid: return s * (1 - s);
        case GluGate::silu: return s * (1 + g * (1 - s));
        case GluGate::gelu: {
            const double t = std::tanh(kRootTwoOverPi * (g + kCubic * g * g * g));
            return 0.5 * (1 + t) + 0.5 * g * (1 - t * t) * kRootTwoOverPi * (1 + 3 * kCubic * g * g);
        }
        case GluGate::relu: return g > 0 ? 1 : 0;
    }
    return 0;
}

}  // namespace

template <class S> void glu_forward_ref(const GluForward<S>& a) {
    for (int64_t n = 0; n < a.rows; ++n)
        for (int64_t i = 0; i < a.inner; ++i) {
            const auto g = double(to_compute(a.g[n * a.row + i])), u = double(to_compute(a.u[n * a.row + i]));
            from_compute(Compute<S>(activation(a.gate, g) * u), a.y[n * a.inner + i]);
        }
}

template <class S> void glu_backward_ref(const GluBackward<S>& args) {
    const GluForward<S>& a = args.forward;
    for (int64_t n = 0; n < a.rows; ++n)
        for (int64_t i = 0; i < a.inner; ++i) {
            const int64_t at = n * a.row + i;
            const auto g = double(to_compute(a.g[at])), u = double(to_compute(a.u[at]));
            const auto dy = double(to_compute(args.dy[n * a.inner + i]));
            from_compute(Compute<S>(dy * u * slope(a.gate, g)), args.dg[at]);
            from_compute(Compute<S>(dy * activation(a.gate, g)), args.du[at]);
        }
}

#define LITHE_INSTANTIATE(S)                                \
    template void glu_forward_ref<S>(const GluForward<S>&); \
    template void glu_backward_ref<S>(const GluBackward<S>&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
