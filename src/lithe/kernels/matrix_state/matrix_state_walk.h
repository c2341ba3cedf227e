// One block walks one head of one batch row through time, step by step. A warp has some rows of the state and its lanes
// neighbouring values, so that rows of v and out, and the state where it lies in global memory, move in whole
// transactions. The state lies in shared memory where that holds it. Sums over warps are added in order: the same bits
// every time. Included by *_cuda.cu alone.
#pragma once

#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kWarps = kThreads / kWarp;
constexpr size_t kMostShared = 96 << 10;  // bytes per block

// Rows of numbers in shared memory that a kernel has for itself.
struct MoreRows {
    int64_t of_key = 0, of_value = 0;
    __host__ __device__ int64_t numbers(int64_t key, int64_t value) const { return of_key * key + of_value * value; }
};

// Numbers of a block's shared memory beside the state.
inline int64_t staged(const MatrixStateShape& shape, const MoreRows& more) {
    return 4 * shape.key + (2 + kWarps) * shape.value + kWarps + more.numbers(shape.key, shape.value);
}

template <class T> __device__ T* row_of(const HeadRows<T>& rows, int64_t t, int64_t b, int64_t h) {
    return rows.data + t * rows.time + b * rows.batch + h * rows.head;
}

template <class S> struct Walk {
    using C = Compute<S>;
    const MatrixStateForward<S>& a;
    int64_t b, h, key, value;
    C *q, *k, *left, *running, *v, *d_out, *partial, *of_warps, *beside, *state;

    // `global`: where the state lies when it is not shared.
    __device__ Walk(const MatrixStateForward<S>& args, C* shared, C* global, MoreRows more = {})
        : a(args),
          b(blockIdx.x / args.shape.heads),
          h(blockIdx.x % args.shape.heads),
          key(args.shape.key),
          value(args.shape.value) {
        q = shared;
        k = q + key;
        left = k + key;
        running = left + key;
        v = running + key;
        d_out = v + value;
        partial = d_out + value;
        of_warps = partial + kWarps * value;
        beside = of_warps + kWarps;
        state = global ? global + blockIdx.x * key * value : beside + more.numbers(key, value);
    }
    __device__ uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0); }
    __device__ bool by_channel() const { return a.shape.decay == StateDecay::channel; }

    __device__ C log_decay(int64_t t, int64_t at) const {
        if (!a.gates.data) return row_of(a.g, t, b, h)[at];
        const C gate = get(row_of(a.gates, t, b, h)[at]);
        return (min(gate, C(0)) - log1p(exponential(-abs(gate)))) / a.temperature;
    }
    // dg_t from the one behind it, which it replaces; where q dq stood.
    __device__ void advance_decay(const MatrixStateBackward<S>& args, int64_t t, int64_t at, C k_dk, C& running) const {
        C& dg = row_of(args.dg, t, b, h)[at];
        running = flags(t) & kDocumentBegins ? C(0) : running + dg - k_dk;
        dg = flags(t) & kPadding ? C(0) : running;
        if (args.d_gates.data)
            put(row_of(args.d_gates, t, b, h)[at], dg * sigmoid(-get(row_of(a.gates, t, b, h)[at])) / a.temperature);
    }

    __device__ void load(const C* from) {
        for (int64_t i = threadIdx.x; i < key * value; i += kThreads)
            state[i] = from ? from[blockIdx.x * key * value + i] : C(0);
        __syncthreads();
    }
    __device__ void store(C* to) const {
        __syncthreads();
        C* own = to + blockIdx.x * key * value;
        if (own == state) return;
        for (int64_t i = threadIdx.x; i < key * value; i += kThreads) own[i] = state[i];
    }
    // What step t reads; zeros where it is padded.
    __device__ void stage(int64_t t, const HeadRows<const S>& d_out_rows) {
        const uint8_t f = flags(t);
        const bool padded = f & kPadding;
        for (int64_t c = threadIdx.x; c < key; c += kThreads) {
            q[c] = padded ? C(0) : a.scale * get(row_of(a.q, t, b, h)[c]);
            k[c] = padded ? C(0) : get(row_of(a.k, t, b, h)[c]);
            left[c] = f & kDocumentBegins                           ? C(0)
                      : padded || a.shape.decay == StateDecay::none ? C(1)
                                                                    : exponential(log_decay(t, by_channel() ? c : 0));
        }
        for (int64_t n = threadIdx.x; n < value; n += kThreads) {
            v[n] = padded ? C(0) : get(row_of(a.v, t, b, h)[n]);
            if (d_out_rows.data) d_out[n] = padded ? C(0) : get(row_of(d_out_rows, t, b, h)[n]);
        }
        for (int64_t i = threadIdx.x; i < kWarps * value; i += kThreads) partial[i] = 0;
        __syncthreads();
    }
    // Calls work(channel, its row of the state) for the warp's rows.
    template <class Work> __device__ void rows(const Work& work) {
        for (int64_t c = threadIdx.x / kWarp; c < key; c += kWarps) work(c, state + c * value);
    }
    // Calls work(value's number, sum over warps of what they have for it), and begins anew.
    template <class Work> __device__ void sum_partial(const Work& work) {
        __syncthreads();
        for (int64_t n = threadIdx.x; n < value; n += kThreads) {
            C total = 0;
            for (int w = 0; w < kWarps; ++w) {
                total += partial[w * value + n];
                partial[w * value + n] = 0;
            }
            work(n, total);
        }
        __syncthreads();
    }
    __device__ void write_partial(S* to) {
        sum_partial([to](int64_t n, C total) { put(to[n], total); });
    }
    // Sum of a number of each warp, for the first thread.
    __device__ C over_warps(C of_warp) {
        if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = of_warp;
        __syncthreads();
        C total = 0;
        for (int w = 0; w < kWarps && threadIdx.x == 0; ++w) total += of_warps[w];
        __syncthreads();
        return total;
    }
};

template <class C> __device__ C* shared_numbers() {
    extern __shared__ double shared[];
    return reinterpret_cast<C*>(shared);
}

// Launches kernel(args, whether the state lies in global memory).
template <class S, class Kernel, class Args>
int launch(Kernel kernel, const Args& args, const MatrixStateShape& shape, void* stream, const MoreRows& more = {}) {
    const size_t beside = size_t(staged(shape, more)) * sizeof(Compute<S>);
    const size_t with_state = beside + size_t(shape.state()) * sizeof(Compute<S>);
    const bool global = with_state > kMostShared;
    const size_t bytes = global ? beside : with_state;
    const cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (status != cudaSuccess) return int(status);
    kernel<<<unsigned(shape.batch * shape.heads), kThreads, bytes, static_cast<cudaStream_t>(stream)>>>(args, global);
    return int(cudaGetLastError());
}

}  // namespace
}  // namespace lithe::kernels::cuda
