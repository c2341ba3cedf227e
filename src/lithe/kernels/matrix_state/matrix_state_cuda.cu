// One block walks one head of one batch row through time, step by step. A warp has some rows of the state and its lanes
// neighbouring values, so that rows of v and out, and the state where it lies in global memory, move in whole
// transactions. The state lies in shared memory where that holds it. Sums over warps are added in order: the same bits
// every time.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kWarps = kThreads / kWarp;
constexpr size_t kMostShared = 96 << 10;  // bytes per block

// Numbers of a block's shared memory beside the state.
inline int64_t staged(const MatrixStateShape& shape) { return 4 * shape.key + (2 + kWarps) * shape.value + kWarps; }

template <class T> __device__ T* row_of(const HeadRows<T>& rows, int64_t t, int64_t b, int64_t h) {
    return rows.data + t * rows.time + b * rows.batch + h * rows.head;
}

template <class S> struct Walk {
    using C = Compute<S>;
    const MatrixStateForward<S>& a;
    int64_t b, h, key, value;
    C *q, *k, *left, *running, *v, *d_out, *partial, *of_warps, *state;

    // `global`: where the state lies when it is not shared.
    __device__ Walk(const MatrixStateForward<S>& args, C* shared, C* global)
        : a(args),
          b(blockIdx.x / args.shape.heads),
          h(blockIdx.x % args.shape.heads),
          key(args.shape.key),
          value(args.shape.value) {
        q = shared, k = q + key, left = k + key, running = left + key;
        v = running + key, d_out = v + value, partial = d_out + value, of_warps = partial + kWarps * value;
        state = global ? global + blockIdx.x * key * value : of_warps + kWarps;
    }
    __device__ uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0); }
    __device__ bool by_channel() const { return a.shape.decay == StateDecay::channel; }

    __device__ C decay(int64_t t, int64_t at) const {
        if (!a.gates.data) return exponential(row_of(a.g, t, b, h)[at]);
        const C gate = get(row_of(a.gates, t, b, h)[at]);
        return exponential((min(gate, C(0)) - log1p(exponential(-abs(gate)))) / a.temperature);
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
                                                                    : decay(t, by_channel() ? c : 0);
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
    __device__ void write_partial(S* to) const {
        __syncthreads();
        for (int64_t n = threadIdx.x; n < value; n += kThreads) {
            C total = 0;
            for (int w = 0; w < kWarps; ++w) total += partial[w * value + n];
            put(to[n], total);
        }
        __syncthreads();
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

template <class S> __global__ void __launch_bounds__(kThreads) forward_kernel(MatrixStateForward<S> a, bool global) {
    using C = Compute<S>;
    Walk<S> at(a, shared_numbers<C>(), global ? a.last : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, {});
        at.rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] = at.left[c] * row[n] + at.k[c] * at.v[n];
                at.partial[warp * at.value + n] += at.q[c] * row[n];
            }
        });
        at.write_partial(row_of(a.out, t, at.b, at.h));
    }
    at.store(a.last);
}

// dq, with the states made anew; q dq goes where dg will stand.
template <class S> __global__ void __launch_bounds__(kThreads) query_kernel(MatrixStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    Walk<S> at(a, shared_numbers<C>(), global ? args.d_start : nullptr);
    const int lane = threadIdx.x % kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, args.d_out);
        C of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            C dq = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] = at.left[c] * row[n] + at.k[c] * at.v[n];
                dq += row[n] * at.d_out[n];
            }
            dq = warp_sum(dq);
            of_warp += at.q[c] * dq;
            if (lane != 0) return;
            put(row_of(args.dq, t, at.b, at.h)[c], a.scale * dq);
            if (args.dg.data && at.by_channel()) row_of(args.dg, t, at.b, at.h)[c] = at.q[c] * dq;
        });
        const C total = at.over_warps(of_warp);
        if (threadIdx.x == 0 && args.dg.data && !at.by_channel()) *row_of(args.dg, t, at.b, at.h) = total;
    }
}

// dk, dv, dg and the gradient of the state at the start, from the last step back.
template <class S> __global__ void __launch_bounds__(kThreads) key_kernel(MatrixStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    Walk<S> at(a, shared_numbers<C>(), global ? args.d_start : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(args.d_last);
    C of_warp = 0;
    at.rows([&](int64_t c, C* row) {
        const C* last = a.last + (blockIdx.x * at.key + c) * at.value;
        C dot = 0;
        for (int64_t n = lane; n < at.value; n += kWarp) dot += last[n] * row[n];
        dot = warp_sum(dot);
        of_warp += dot;
        if (lane == 0) at.running[c] = dot;
    });
    C of_head = at.over_warps(of_warp);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        at.stage(t, args.d_out);
        of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            C dk = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                const C ds = row[n] + at.q[c] * at.d_out[n];
                dk += ds * at.v[n];
                at.partial[warp * at.value + n] += ds * at.k[c];
                row[n] = ds * at.left[c];
            }
            dk = warp_sum(dk);
            of_warp += at.k[c] * dk;
            if (lane != 0) return;
            put(row_of(args.dk, t, at.b, at.h)[c], dk);
            if (args.dg.data && at.by_channel()) at.advance_decay(args, t, c, at.k[c] * dk, at.running[c]);
        });
        const C total = at.over_warps(of_warp);
        if (threadIdx.x == 0 && args.dg.data && !at.by_channel()) at.advance_decay(args, t, 0, total, of_head);
        at.write_partial(row_of(args.dv, t, at.b, at.h));
    }
    at.store(args.d_start);
}

// Launches kernel(args, whether the state lies in global memory).
template <class S, class Kernel, class Args>
int launch(Kernel kernel, const Args& args, const MatrixStateShape& shape, void* stream) {
    const size_t beside = size_t(staged(shape)) * sizeof(Compute<S>);
    const size_t with_state = beside + size_t(shape.state()) * sizeof(Compute<S>);
    const bool global = with_state > kMostShared;
    const size_t bytes = global ? beside : with_state;
    const cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (status != cudaSuccess) return int(status);
    kernel<<<unsigned(shape.batch * shape.heads), kThreads, bytes, static_cast<cudaStream_t>(stream)>>>(args, global);
    return int(cudaGetLastError());
}

}  // namespace

template <class S> int matrix_state_forward(const MatrixStateForward<S>& args, void* stream) {
    if (args.shape.batch * args.shape.heads == 0) return 0;
    return launch<S>(forward_kernel<S>, args, args.shape, stream);
}

template <class S> int matrix_state_backward(const MatrixStateBackward<S>& args, void* stream) {
    const MatrixStateShape& shape = args.forward.shape;
    if (shape.batch * shape.heads == 0) return 0;
    const int status = launch<S>(query_kernel<S>, args, shape, stream);
    return status ? status : launch<S>(key_kernel<S>, args, shape, stream);
}

#define LITHE_INSTANTIATE(S)                                                   \
    template int matrix_state_forward<S>(const MatrixStateForward<S>&, void*); \
    template int matrix_state_backward<S>(const MatrixStateBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
