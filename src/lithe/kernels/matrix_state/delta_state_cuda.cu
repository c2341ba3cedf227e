// See matrix_state_walk.h. The backward pass goes through time three times: on for dq and what values lack, back for dv
// and what keys get for what they wrote, on again for what they get for what they read.
#include "lithe/kernels/matrix_state/delta_state_walk.h"

namespace lithe::kernels::cuda {
namespace {

template <class S> struct DeltaWalk : CorrectedWalk<S> {
    using C = Compute<S>;
    const HeadRows<const C> beta_rows;

    __device__ DeltaWalk(const MatrixStateForward<S>& args, const HeadRows<const C>& beta, C* shared, C* global)
        : CorrectedWalk<S>(args, shared, global),
          beta_rows(beta) {}
    __device__ C beta(int64_t t) const {
        return this->flags(t) & kPadding ? C(0) : *row_of(beta_rows, t, this->b, this->h);
    }
    // The step's R, and what the values lack, [value] in `more`.
    __device__ void read(int lane, int warp) {
        this->rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < this->value; n += kWarp) {
                row[n] *= this->left[c];
                this->partial[warp * this->value + n] += this->k[c] * row[n];
            }
        });
        this->sum_partial([this](int64_t n, C total) { this->more[n] = this->v[n] - total; });
    }
};

template <class S> __global__ void __launch_bounds__(kThreads) forward_kernel(DeltaStateForward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in;
    DeltaWalk<S> at(a, args.beta, shared_numbers<C>(), global ? a.last : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, {});
        at.read(lane, warp);
        const C beta = at.beta(t);
        at.rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] += at.k[c] * beta * at.more[n];
                at.partial[warp * at.value + n] += at.q[c] * row[n];
            }
        });
        at.write_partial(row_of(a.out, t, at.b, at.h));
    }
    at.store(a.last);
}

// dq, with the states made anew, and what values lack.
template <class S> __global__ void __launch_bounds__(kThreads) query_kernel(DeltaStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in.forward;
    DeltaWalk<S> at(a, args.beta, shared_numbers<C>(), global ? args.in.d_start : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, args.in.d_out);
        at.read(lane, warp);
        const C beta = at.beta(t);
        for (int64_t n = threadIdx.x; n < at.value; n += kThreads) at.values_at(args.room, t)[n] = at.more[n];
        at.put_query_gradients(args.in, t, lane, [&](int64_t c, int64_t n) { return at.k[c] * beta * at.more[n]; });
    }
}

// dv, dbeta, the gradient of the state at the start, and what keys get for what they wrote, from the last step back.
template <class S> __global__ void __launch_bounds__(kThreads) value_kernel(DeltaStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in.forward;
    DeltaWalk<S> at(a, args.beta, shared_numbers<C>(), global ? args.in.d_start : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(args.in.d_last);
    at.begin_decay(args.in, lane);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        at.stage(t, args.in.d_out);
        const C beta = at.beta(t), *lacks = at.values_at(args.room, t);
        at.rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] += at.q[c] * at.d_out[n];
                at.partial[warp * at.value + n] += row[n] * at.k[c];
            }
        });
        C d_beta = 0;
        at.sum_partial([&](int64_t n, C du) {
            d_beta += du * lacks[n];
            at.more[n] = beta * du;
            put(row_of(args.in.dv, t, at.b, at.h)[n], beta * du);
        });
        d_beta = at.over_warps(warp_sum(d_beta));
        if (threadIdx.x == 0) *row_of(args.d_beta, t, at.b, at.h) = at.flags(t) & kPadding ? C(0) : d_beta;
        C of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            C dk = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                dk += row[n] * beta * lacks[n];
                row[n] = (row[n] - at.k[c] * at.more[n]) * at.left[c];
            }
            dk = warp_sum(dk);
            of_warp -= at.k[c] * dk;
            if (lane != 0) return;
            at.keys_at(args.room, t)[c] = dk;
            at.add_channel_decay(args.in, t, c, -at.k[c] * dk);
        });
        at.add_decay(args.in, t, of_warp);
    }
    at.store(args.in.d_start);
}

// dk, with the states made anew once more; where they are not shared, they lie in `kept`, which CUDA does not need.
template <class S> __global__ void __launch_bounds__(kThreads) key_kernel(DeltaStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in.forward;
    DeltaWalk<S> at(a, args.beta, shared_numbers<C>(), global ? a.kept : nullptr);
    const int lane = threadIdx.x % kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage(t, {});
        const C beta = at.beta(t), *lacks = at.values_at(args.room, t);
        const S* dv = row_of(args.in.dv, t, at.b, at.h);
        C of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            C dk = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                const C decayed = row[n] * at.left[c];
                dk -= decayed * get(dv[n]);
                row[n] = decayed + at.k[c] * beta * lacks[n];
            }
            dk = warp_sum(dk);
            of_warp += at.k[c] * dk;
            if (lane != 0) return;
            put(row_of(args.in.dk, t, at.b, at.h)[c], at.keys_at(args.room, t)[c] + dk);
            at.add_channel_decay(args.in, t, c, at.k[c] * dk);
        });
        at.add_decay(args.in, t, of_warp);
    }
}

// dg from its steps' own parts: each is added to all that come before it in its document. A thread has one decay.
template <class S>
__global__ void __launch_bounds__(kThreads) decay_kernel(MatrixStateBackward<S> args, int64_t numbers) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.forward;
    const int64_t which = blockIdx.x * int64_t(kThreads) + threadIdx.x, head = which / numbers, c = which % numbers;
    if (head >= a.shape.batch * a.shape.heads) return;
    const int64_t b = head / a.shape.heads, h = head % a.shape.heads;
    C running = 0;
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        const uint8_t flags = a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0);
        C& dg = row_of(args.dg, t, b, h)[c];
        running = flags & kDocumentBegins ? C(0) : running + dg;
        dg = flags & kPadding ? C(0) : running;
        if (args.d_gates.data)
            put(row_of(args.d_gates, t, b, h)[c], dg * sigmoid(-get(row_of(a.gates, t, b, h)[c])) / a.temperature);
    }
}

}  // namespace

template <class S> int delta_state_forward(const DeltaStateForward<S>& args, void* stream) {
    if (args.in.shape.batch * args.in.shape.heads == 0) return 0;
    if (args.a.data) return low_rank_forward(args, stream);
    return launch<S>(forward_kernel<S>, args, args.in.shape, stream, corrected_rows());
}

template <class S> int delta_state_backward(const DeltaStateBackward<S>& args, void* stream) {
    const MatrixStateShape& shape = args.in.forward.shape;
    if (shape.batch * shape.heads * shape.steps == 0) return 0;
    int status = args.a.data ? low_rank_backward(args, stream)
                             : launch<S>(query_kernel<S>, args, shape, stream, corrected_rows());
    if (!status && !args.a.data) status = launch<S>(value_kernel<S>, args, shape, stream, corrected_rows());
    if (!status && !args.a.data) status = launch<S>(key_kernel<S>, args, shape, stream, corrected_rows());
    if (status || !args.in.dg.data) return status;
    const int64_t numbers = shape.decay == StateDecay::channel ? shape.key : 1;
    decay_kernel<S>
        <<<blocks_for(shape.batch * shape.heads * numbers), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args.in,
                                                                                                              numbers);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                                 \
    template int delta_state_forward<S>(const DeltaStateForward<S>&, void*); \
    template int delta_state_backward<S>(const DeltaStateBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
