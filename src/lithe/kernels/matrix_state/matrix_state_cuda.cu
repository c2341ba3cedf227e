// See matrix_state_walk.h.
#include "lithe/kernels/matrix_state/matrix_state_walk.h"
#include "lithe/kernels/matrix_state/normalised_state.h"

namespace lithe::kernels::cuda {
namespace {

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

}  // namespace

template <class S> int matrix_state_forward(const MatrixStateForward<S>& args, void* stream) {
    if (args.shape.batch * args.shape.heads == 0) return 0;
    if (args.shape.normalised) return normalised_forward(args, stream);
    return launch<S>(forward_kernel<S>, args, args.shape, stream);
}

template <class S> int matrix_state_backward(const MatrixStateBackward<S>& args, void* stream) {
    const MatrixStateShape& shape = args.forward.shape;
    if (shape.batch * shape.heads == 0) return 0;
    if (shape.normalised) return normalised_backward(args, stream);
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
