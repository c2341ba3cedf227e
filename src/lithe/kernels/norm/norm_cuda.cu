// One warp per row, which is read from the caches after its first pass; sums over rows by one thread per column, over
// the rows of a chunk in order: the same bits every time.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/norm/norm.h"

namespace lithe::kernels::cuda {
namespace {

template <class S> struct Row {
    const NormForward<S>& a;
    const S *x, *add;
    Compute<S> scale;
    __device__ Row(const NormForward<S>& args, int64_t row)
        : a(args),
          x(args.x + row * args.width),
          add(args.add ? args.add + row * args.width : nullptr),
          scale(args.add && args.scale ? *args.scale : Compute<S>(1)) {}
    __device__ Compute<S> operator()(int64_t j) const {
        return get(x[j]) + (add ? scale * get(add[j]) : Compute<S>(0));
    }
};

__device__ float inverse_root(float x) { return 1 / sqrtf(x); }
__device__ double inverse_root(double x) { return 1 / sqrt(x); }

template <class S> __global__ void forward_kernel(NormForward<S> a) {
    using C = Compute<S>;
    const int lane = threadIdx.x % kWarp;
    const int64_t warps = int64_t(gridDim.x) * (blockDim.x / kWarp);
    for (int64_t row = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp; row < a.rows; row += warps) {
        const Row<S> s(a, row);
        C mean = 0, variance = 0;
        for (int64_t j = lane; j < a.width; j += kWarp) mean += s(j);
        mean = warp_sum(mean) / C(a.width);
        for (int64_t j = lane; j < a.width; j += kWarp) variance += (s(j) - mean) * (s(j) - mean);
        const C r = inverse_root(warp_sum(variance) / C(a.width) + C(a.epsilon));
        for (int64_t j = lane; j < a.width; j += kWarp)
            put(a.y[row * a.width + j], a.gain[j] * (s(j) - mean) * r + a.bias[j]);
        if (lane == 0) {
            a.statistics[2 * row] = mean;
            a.statistics[2 * row + 1] = r;
        }
    }
}

// dx, da and dscale; a block takes a chunk of rows, a warp every so many of them.
template <class S> __global__ void rows_kernel(NormBackward<S> args) {
    using C = Compute<S>;
    const NormForward<S>& a = args.forward;
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int64_t chunk = blockIdx.x, first = chunk * kNormChunk, end = min(first + kNormChunk, a.rows);
    C total = 0;
    for (int64_t row = first + warp; row < end; row += kThreads / kWarp) {
        const Row<S> s(a, row);
        const C mean = a.statistics[2 * row], r = a.statistics[2 * row + 1];
        const S* dy = args.dy + row * a.width;
        C mean_dn = 0, mean_dn_n = 0;
        for (int64_t j = lane; j < a.width; j += kWarp) {
            const C dn = a.gain[j] * get(dy[j]);
            mean_dn += dn;
            mean_dn_n += dn * (s(j) - mean) * r;
        }
        mean_dn = warp_sum(mean_dn) / C(a.width);
        mean_dn_n = warp_sum(mean_dn_n) / C(a.width);
        for (int64_t j = lane; j < a.width; j += kWarp) {
            const C ds = r * (a.gain[j] * get(dy[j]) - mean_dn - (s(j) - mean) * r * mean_dn_n);
            put(args.dx[row * a.width + j], ds);
            if (!s.add) continue;
            put(args.d_add[row * a.width + j], s.scale * ds);
            total += ds * get(s.add[j]);
        }
    }
    total = block_sum(total);
    if (threadIdx.x == 0) args.sums[chunk * (2 * a.width + 1) + 2 * a.width] = total;
}

// dgain and dbias of a chunk of rows.
template <class S> __global__ void columns_kernel(NormBackward<S> args) {
    using C = Compute<S>;
    const NormForward<S>& a = args.forward;
    const int64_t j = int64_t(blockIdx.y) * blockDim.x + threadIdx.x, chunk = blockIdx.x;
    if (j >= a.width) return;
    C dgain = 0, dbias = 0;
    const int64_t end = min((chunk + 1) * kNormChunk, a.rows);
#pragma unroll 4
    for (int64_t row = chunk * kNormChunk; row < end; ++row) {
        const C dy = get(args.dy[row * a.width + j]);
        dgain += dy * (Row<S>(a, row)(j) - a.statistics[2 * row]) * a.statistics[2 * row + 1];
        dbias += dy;
    }
    C* sums = args.sums + chunk * (2 * a.width + 1);
    sums[j] = dgain;
    sums[a.width + j] = dbias;
}

}  // namespace

template <class S> int norm_forward(const NormForward<S>& args, void* stream) {
    if (args.rows == 0) return 0;
    forward_kernel<S>
        <<<blocks_for(args.rows, kThreads / kWarp), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

template <class S> int norm_backward(const NormBackward<S>& args, void* stream) {
    if (args.forward.rows == 0) return 0;
    const auto chunks = unsigned(norm_chunks(args.forward.rows));
    rows_kernel<S><<<chunks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    columns_kernel<S>
        <<<dim3(chunks, blocks_for(args.forward.width)), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                    \
    template int norm_forward<S>(const NormForward<S>&, void*); \
    template int norm_backward<S>(const NormBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
