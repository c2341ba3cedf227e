#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/glu/glu.h"

namespace lithe::kernels::cuda {
namespace {

template <class C> struct Activated { C value, slope; };

template <GluGate gate, class C> __device__ Activated<C> activated(C g) {
    if constexpr (gate == GluGate::relu) return {g > 0 ? g : C(0), g > 0 ? C(1) : C(0)};
    if constexpr (gate == GluGate::gelu) {
        const C root = C(0.79788456080286535588), cubic = C(0.044715);
        const C s = sigmoid(C(2) * root * (g + cubic * g * g * g));
        return {g * s, s + g * s * (1 - s) * 2 * root * (1 + 3 * cubic * g * g)};
    }
    const C s = sigmoid(g);
    if constexpr (gate == GluGate::sigmoid) return {s, s * (1 - s)};
    return {g * s, s + g * s * (1 - s)};
}

// A thread's elements are a grid apart, so that neighbours read neighbours.
template <GluGate gate, class S> __global__ void forward_kernel(GluForward<S> a) {
    const int64_t count = a.rows * a.inner, stride = int64_t(gridDim.x) * blockDim.x;
    for (int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += stride) {
        const int64_t from = at / a.inner * a.row + at % a.inner;
        put(a.y[at], activated<gate>(get(a.g[from])).value * get(a.u[from]));
    }
}

template <GluGate gate, class S> __global__ void backward_kernel(GluBackward<S> args) {
    const GluForward<S>& a = args.forward;
    const int64_t count = a.rows * a.inner, stride = int64_t(gridDim.x) * blockDim.x;
    for (int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += stride) {
        const int64_t place = at / a.inner * a.row + at % a.inner;
        const auto act = activated<gate>(get(a.g[place]));
        const auto d = get(args.dy[at]);
        put(args.dg[place], d * get(a.u[place]) * act.slope);
        put(args.du[place], d * act.value);
    }
}

// Calls with the gate as a constant.
template <class F> int with_gate(GluGate gate, const F& launch) {
    switch (gate) {
        case GluGate::sigmoid: launch(std::integral_constant<GluGate, GluGate::sigmoid>()); break;
        case GluGate::silu: launch(std::integral_constant<GluGate, GluGate::silu>()); break;
        case GluGate::gelu: launch(std::integral_constant<GluGate, GluGate::gelu>()); break;
        case GluGate::relu: launch(std::integral_constant<GluGate, GluGate::relu>()); break;
    }
    return int(cudaGetLastError());
}

}  // namespace

template <class S> int glu_forward(const GluForward<S>& args, void* stream) {
    if (args.rows * args.inner == 0) return 0;
    return with_gate(args.gate, [&](auto gate) {
        forward_kernel<decltype(gate)::value, S>
            <<<blocks_for(args.rows * args.inner), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    });
}

template <class S> int glu_backward(const GluBackward<S>& args, void* stream) {
    const GluForward<S>& a = args.forward;
    if (a.rows * a.inner == 0) return 0;
    return with_gate(a.gate, [&](auto gate) {
        backward_kernel<decltype(gate)::value, S>
            <<<blocks_for(a.rows * a.inner), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    });
}

#define LITHE_INSTANTIATE(S)                                  \
    template int glu_forward<S>(const GluForward<S>&, void*); \
    template int glu_backward<S>(const GluBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::cuda
