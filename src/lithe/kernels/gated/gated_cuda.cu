#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/gated/gated.h"

namespace lithe::kernels::cuda {
namespace {

template <class C> struct Activated { C value, slope; };

template <Gate gate, class C> __device__ Activated<C> activated(C g) {
    if constexpr (gate == Gate::relu) return {g > 0 ? g : C(0), g > 0 ? C(1) : C(0)};
    if constexpr (gate == Gate::gelu) {
        const C root = C(0.79788456080286535588), cubic = C(0.044715);
        const C s = sigmoid(C(2) * root * (g + cubic * g * g * g));
        return {g * s, s + g * s * (1 - s) * 2 * root * (1 + 3 * cubic * g * g)};
    }
    const C s = sigmoid(g);
    if constexpr (gate == Gate::sigmoid) return {s, s * (1 - s)};
    return {g * s, s + g * s * (1 - s)};
}

// A thread's elements are a grid apart, so that neighbours read neighbours.
template <Gate gate, class S> __global__ void forward_kernel(GatedForward<S> a) {
    const int64_t count = a.rows * a.inner, stride = int64_t(gridDim.x) * blockDim.x;
    for (int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += stride) {
        const int64_t from = at / a.inner * a.row + at % a.inner;
        put(a.y[at], activated<gate>(get(a.g[from])).value * get(a.u[from]));
    }
}

template <Gate gate, class S> __global__ void backward_kernel(GatedBackward<S> args) {
    const GatedForward<S>& a = args.forward;
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
template <class F> int with_gate(Gate gate, const F& launch) {
    switch (gate) {
        case Gate::sigmoid: launch(std::integral_constant<Gate, Gate::sigmoid>()); break;
        case Gate::silu: launch(std::integral_constant<Gate, Gate::silu>()); break;
        case Gate::gelu: launch(std::integral_constant<Gate, Gate::gelu>()); break;
        case Gate::relu: launch(std::integral_constant<Gate, Gate::relu>()); break;
    }
    return int(cudaGetLastError());
}

}  // namespace

template <class S> int gated_forward(const GatedForward<S>& args, void* stream) {
    if (args.rows * args.inner == 0) return 0;
    return with_gate(args.gate, [&](auto gate) {
        forward_kernel<decltype(gate)::value, S>
            <<<blocks_for(args.rows * args.inner), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    });
}

template <class S> int gated_backward(const GatedBackward<S>& args, void* stream) {
    const GatedForward<S>& a = args.forward;
    if (a.rows * a.inner == 0) return 0;
    return with_gate(a.gate, [&](auto gate) {
        backward_kernel<decltype(gate)::value, S>
            <<<blocks_for(a.rows * a.inner), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    });
}

#define LITHE_INSTANTIATE(S)                                      \
    template int gated_forward<S>(const GatedForward<S>&, void*); \
    template int gated_backward<S>(const GatedBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::cuda
