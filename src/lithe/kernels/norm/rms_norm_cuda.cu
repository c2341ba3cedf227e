// One warp per head of a row, which is read from the caches after its first pass; sums over rows by one thread per
// column, over the rows of a chunk in order: the same bits every time.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/norm/rms_norm.h"

namespace lithe::kernels::cuda {
namespace {

__device__ float inverse_root(float x) { return 1 / sqrtf(x); }
__device__ double inverse_root(double x) { return 1 / sqrt(x); }

template <class S> struct Row {
    using C = Compute<S>;
    const RmsNormForward<S>& a;
    const S *x, *z;
    int64_t first;

    // `index`: of a head among all rows'.
    __device__ Row(const RmsNormForward<S>& args, int64_t index)
        : a(args),
          x(args.x + index * args.width),
          z(args.z + index / args.heads * args.z_row + index % args.heads * args.width),
          first(index * args.width) {}
    __device__ C silu(int64_t j) const { return get(z[j]) * sigmoid(get(z[j])); }
    __device__ C slope(int64_t j) const {
        const C value = get(z[j]), open = sigmoid(value);
        return open * (1 + value * (1 - open));
    }
    __device__ C before(int64_t j) const { return a.gate == NormGate::before ? silu(j) : C(1); }
    __device__ C after(int64_t j) const { return a.gate == NormGate::after ? silu(j) : C(1); }
    __device__ C s(int64_t j) const { return get(x[j]) * before(j); }
};

template <class S> __global__ void forward_kernel(RmsNormForward<S> a) {
    using C = Compute<S>;
    const int lane = threadIdx.x % kWarp;
    const int64_t warps = int64_t(gridDim.x) * (blockDim.x / kWarp);
    for (int64_t index = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp; index < a.rows * a.heads;
         index += warps) {
        const Row<S> of(a, index);
        C squares = 0;
        for (int64_t j = lane; j < a.width; j += kWarp) squares += of.s(j) * of.s(j);
        const C r = inverse_root(warp_sum(squares) / C(a.width) + C(a.epsilon));
        for (int64_t j = lane; j < a.width; j += kWarp) put(a.y[of.first + j], a.gain[j] * of.s(j) * r * of.after(j));
        if (lane == 0) a.scales[index] = r;
    }
}

template <class S> __global__ void backward_kernel(RmsNormBackward<S> args) {
    using C = Compute<S>;
    const RmsNormForward<S>& a = args.forward;
    const int lane = threadIdx.x % kWarp;
    const int64_t warps = int64_t(gridDim.x) * (blockDim.x / kWarp);
    for (int64_t index = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp; index < a.rows * a.heads;
         index += warps) {
        const Row<S> of(a, index);
        const C r = a.scales[index];
        const S* dy = args.dy + of.first;
        C mean = 0;
        for (int64_t j = lane; j < a.width; j += kWarp) mean += a.gain[j] * get(dy[j]) * of.after(j) * of.s(j) * r;
        mean = warp_sum(mean) / C(a.width);
        for (int64_t j = lane; j < a.width; j += kWarp) {
            const C n = of.s(j) * r, ds = r * (a.gain[j] * get(dy[j]) * of.after(j) - n * mean);
            if (a.gate == NormGate::before) put(args.dz[of.first + j], ds * get(of.x[j]) * of.slope(j));
            if (a.gate == NormGate::after) put(args.dz[of.first + j], get(dy[j]) * a.gain[j] * n * of.slope(j));
            put(args.dx[of.first + j], ds * of.before(j));
        }
    }
}

// dgain of a chunk of rows.
template <class S> __global__ void gain_kernel(RmsNormBackward<S> args) {
    using C = Compute<S>;
    const RmsNormForward<S>& a = args.forward;
    const int64_t j = int64_t(blockIdx.y) * blockDim.x + threadIdx.x, chunk = blockIdx.x;
    if (j >= a.width) return;
    C total = 0;
    const int64_t end = min((chunk + 1) * kRmsNormChunk, a.rows) * a.heads;
    for (int64_t index = chunk * kRmsNormChunk * a.heads; index < end; ++index) {
        const Row<S> of(a, index);
        total += get(args.dy[of.first + j]) * of.s(j) * a.scales[index] * of.after(j);
    }
    args.sums[chunk * a.width + j] = total;
}

}  // namespace

template <class S> int rms_norm_forward(const RmsNormForward<S>& args, void* stream) {
    if (args.rows == 0) return 0;
    forward_kernel<S>
        <<<blocks_for(args.rows * args.heads, kThreads / kWarp), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            args);
    return int(cudaGetLastError());
}

template <class S> int rms_norm_backward(const RmsNormBackward<S>& args, void* stream) {
    const RmsNormForward<S>& a = args.forward;
    if (a.rows == 0) return 0;
    backward_kernel<S>
        <<<blocks_for(a.rows * a.heads, kThreads / kWarp), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    gain_kernel<S><<<dim3(unsigned(rms_norm_chunks(a.rows)), blocks_for(a.width)), kThreads, 0,
                     static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                           \
    template int rms_norm_forward<S>(const RmsNormForward<S>&, void*); \
    template int rms_norm_backward<S>(const RmsNormBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
