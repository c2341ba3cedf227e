// See matrix_state_walk.h. Every thread knows m and the step's gates; n, or its gradient, lies in shared memory.
#include "lithe/kernels/matrix_state/matrix_state_walk.h"
#include "lithe/kernels/matrix_state/normalised_state.h"

namespace lithe::kernels::cuda {
namespace {

__host__ __device__ constexpr MoreRows sum_rows() { return {1, 0}; }

template <class S> struct NormalisedWalk : Walk<S> {
    using C = Compute<S>;
    using Walk<S>::a;
    using Walk<S>::b;
    using Walk<S>::h;
    using Walk<S>::key;
    C* n;
    C m = C(kNoSum), decayed = 1, admitted = 0;  // the last two: of the step

    __device__ NormalisedWalk(const MatrixStateForward<S>& args, C* shared, C* global)
        : Walk<S>(args, shared, global, sum_rows()),
          n(this->beside) {}

    // n and m, or the gradient of n.
    __device__ void load_sums(const C* from) {
        const C* own = from + blockIdx.x * (key + 1);
        for (int64_t c = threadIdx.x; c < key; c += kThreads) n[c] = from ? own[c] : C(0);
        if (from) m = own[key];
        __syncthreads();
    }
    __device__ void store_sums(C* to, C last) const {
        __syncthreads();
        C* own = to + blockIdx.x * (key + 1);
        for (int64_t c = threadIdx.x; c < key; c += kThreads) own[c] = n[c];
        if (threadIdx.x == 0) own[key] = last;
    }
    __device__ void gate(int64_t t) {
        const bool begins = this->flags(t) & kDocumentBegins;
        decayed = begins ? C(0) : C(1);
        admitted = 0;
        if (begins) m = C(kNoSum);
        if (this->flags(t) & kPadding) return;
        const C before = begins ? m : this->log_decay(t, 0) + m, in = *row_of(a.admit, t, b, h);
        m = max(before, in);
        decayed = exponential(before - m);
        admitted = exponential(in - m);
    }
    // n_t of a channel whose k is `admits`; the warp's lanes call it together.
    __device__ C advance(int64_t c, C admits) {
        const C now = decayed * n[c] + admits;
        __syncwarp();
        if (threadIdx.x % kWarp == 0) n[c] = now;
        return now;
    }
    __device__ C least() const { return exponential(min(max(-m, C(-kFarthestSum)), C(kFarthestSum))); }
    // Sum of a number of each warp, for every thread.
    __device__ C over_all_warps(C of_warp) {
        if (threadIdx.x % kWarp == 0) this->of_warps[threadIdx.x / kWarp] = of_warp;
        __syncthreads();
        C total = 0;
        for (int w = 0; w < kWarps; ++w) total += this->of_warps[w];
        __syncthreads();
        return total;
    }
    // What the last step back needs of step t: [kNormalisedRoom].
    __device__ C* room_of(C* room, int64_t t) const {
        return room + ((t * a.shape.batch + b) * a.shape.heads + h) * kNormalisedRoom;
    }
};

template <class S> __global__ void __launch_bounds__(kThreads) forward_kernel(MatrixStateForward<S> a, bool global) {
    using C = Compute<S>;
    NormalisedWalk<S> at(a, shared_numbers<C>(), global ? a.last : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    at.load_sums(a.start_sums);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, {});
        at.gate(t);
        C of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            const C k = at.admitted * at.k[c];
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] = at.decayed * row[n] + k * at.v[n];
                at.partial[warp * at.value + n] += at.q[c] * row[n];
            }
            of_warp += at.q[c] * at.advance(c, k);
        });
        const C over = 1 / max(abs(at.over_all_warps(of_warp)), at.least());
        S* out = row_of(a.out, t, at.b, at.h);
        at.sum_partial([&](int64_t n, C total) { put(out[n], total * over); });
    }
    at.store(a.last);
    at.store_sums(a.last_sums, at.m);
}

// dq, with the states made anew; what the steps back need of gates and sums; q dq goes where dg will stand.
template <class S> __global__ void __launch_bounds__(kThreads) query_kernel(MatrixStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    NormalisedWalk<S> at(a, shared_numbers<C>(), global ? args.d_start : nullptr);
    const int lane = threadIdx.x % kWarp;
    at.load(a.start);
    at.load_sums(a.start_sums);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, args.d_out);
        at.gate(t);
        C sum_of_warp = 0, along_of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            const C k = at.admitted * at.k[c];
            C read = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] = at.decayed * row[n] + k * at.v[n];
                read += row[n] * at.d_out[n];
            }
            read = warp_sum(read);
            if (lane == 0) at.running[c] = read;
            sum_of_warp += at.q[c] * at.advance(c, k);
            along_of_warp += at.q[c] * read;
        });
        const C sum = at.over_all_warps(sum_of_warp), along = at.over_all_warps(along_of_warp), least = at.least();
        const C over = 1 / max(abs(sum), least);
        const C d_sum = abs(sum) > least ? -along * over * over * (sum < 0 ? C(-1) : C(1)) : C(0);
        S* dq = row_of(args.dq, t, at.b, at.h);
        for (int64_t c = threadIdx.x; c < at.key; c += kThreads)
            put(dq[c], a.scale * (at.running[c] * over + at.n[c] * d_sum));
        if (threadIdx.x == 0) {
            C* room = at.room_of(args.room, t);
            room[0] = over;
            room[1] = d_sum;
            room[2] = at.decayed;
            room[3] = at.admitted;
            *row_of(args.dg, t, at.b, at.h) = along * over + sum * d_sum;
        }
        __syncthreads();
    }
}

// dk, dv, gradients of gates and of the state at the start, from the last step back.
template <class S> __global__ void __launch_bounds__(kThreads) key_kernel(MatrixStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    NormalisedWalk<S> at(a, shared_numbers<C>(), global ? args.d_start : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(args.d_last);
    at.load_sums(args.d_last_sums);
    C of_warp = 0;
    at.rows([&](int64_t c, C* row) {
        const C* last = a.last + (blockIdx.x * at.key + c) * at.value;
        C dot = 0;
        for (int64_t n = lane; n < at.value; n += kWarp) dot += last[n] * row[n];
        of_warp += warp_sum(dot) + a.last_sums[blockIdx.x * (at.key + 1) + c] * at.n[c];
    });
    C of_head = at.over_warps(of_warp);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        at.stage(t, args.d_out);
        const C* room = at.room_of(args.room, t);
        const C over = room[0], d_sum = room[1], decayed = room[2], admitted = room[3];
        of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            const C k = admitted * at.k[c], dn = at.n[c] + at.q[c] * d_sum;
            C dk = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                const C ds = row[n] + at.q[c] * at.d_out[n] * over;
                dk += ds * at.v[n];
                at.partial[warp * at.value + n] += ds * k;
                row[n] = ds * decayed;
            }
            dk = warp_sum(dk) + dn;
            of_warp += k * dk;
            if (lane != 0) return;
            at.n[c] = dn * decayed;
            put(row_of(args.dk, t, at.b, at.h)[c], admitted * dk);
        });
        const C total = at.over_warps(of_warp);
        if (threadIdx.x == 0) {
            *row_of(args.d_admit, t, at.b, at.h) = total;
            at.advance_decay(args, t, 0, total, of_head);
        }
        at.write_partial(row_of(args.dv, t, at.b, at.h));
    }
    at.store(args.d_start);
    at.store_sums(args.d_start_sums, of_head);
}

}  // namespace

template <class S> int normalised_forward(const MatrixStateForward<S>& args, void* stream) {
    return launch<S>(forward_kernel<S>, args, args.shape, stream, sum_rows());
}

template <class S> int normalised_backward(const MatrixStateBackward<S>& args, void* stream) {
    const int status = launch<S>(query_kernel<S>, args, args.forward.shape, stream, sum_rows());
    return status ? status : launch<S>(key_kernel<S>, args, args.forward.shape, stream, sum_rows());
}

#define LITHE_INSTANTIATE(S)                                                 \
    template int normalised_forward<S>(const MatrixStateForward<S>&, void*); \
    template int normalised_backward<S>(const MatrixStateBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
