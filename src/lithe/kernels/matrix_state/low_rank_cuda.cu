// The form of delta_state with rows a and b; see delta_state_cuda.cu. The backward pass goes on for dq and x, back for
// dv, dk and db, on again for da.
#include "lithe/kernels/matrix_state/delta_state_walk.h"

namespace lithe::kernels::cuda {
namespace {

template <class S> struct LowRankWalk : CorrectedWalk<S> {
    using C = Compute<S>;
    const HeadRows<const S> a_rows, b_rows;
    C *erase, *into;  // a, b of the step, [key]

    __device__ LowRankWalk(const MatrixStateForward<S>& args, const HeadRows<const S>& a, const HeadRows<const S>& b,
                           C* shared, C* global)
        : CorrectedWalk<S>(args, shared, global),
          a_rows(a),
          b_rows(b) {
        erase = this->more + this->value;
        into = erase + this->key;
    }
    __device__ void stage_step(int64_t t, const HeadRows<const S>& d_out_rows) {
        const bool padded = this->flags(t) & kPadding;
        for (int64_t c = threadIdx.x; c < this->key; c += kThreads) {
            erase[c] = padded ? C(0) : get(row_of(a_rows, t, this->b, this->h)[c]);
            into[c] = padded ? C(0) : get(row_of(b_rows, t, this->b, this->h)[c]);
        }
        this->stage(t, d_out_rows);
    }
    // The step's R, and x, [value] in `more`.
    __device__ void read(int lane, int warp) {
        this->rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < this->value; n += kWarp) {
                row[n] *= this->left[c];
                this->partial[warp * this->value + n] += erase[c] * row[n];
            }
        });
        this->sum_partial([this](int64_t n, C total) { this->more[n] = total; });
    }
    __device__ C written(int64_t c, int64_t n) const { return this->k[c] * this->v[n] - into[c] * this->more[n]; }
};

template <class S>
__global__ void __launch_bounds__(kThreads) low_rank_forward_kernel(DeltaStateForward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in;
    LowRankWalk<S> at(a, args.a, args.b, shared_numbers<C>(), global ? a.last : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage_step(t, {});
        at.read(lane, warp);
        at.rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] += at.written(c, n);
                at.partial[warp * at.value + n] += at.q[c] * row[n];
            }
        });
        at.write_partial(row_of(a.out, t, at.b, at.h));
    }
    at.store(a.last);
}

template <class S>
__global__ void __launch_bounds__(kThreads) low_rank_query_kernel(DeltaStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in.forward;
    LowRankWalk<S> at(a, args.a, args.b, shared_numbers<C>(), global ? args.in.d_start : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage_step(t, args.in.d_out);
        at.read(lane, warp);
        for (int64_t n = threadIdx.x; n < at.value; n += kThreads) at.values_at(args.room, t)[n] = at.more[n];
        at.put_query_gradients(args.in, t, lane, [&](int64_t c, int64_t n) { return at.written(c, n); });
    }
}

template <class S>
__global__ void __launch_bounds__(kThreads) low_rank_value_kernel(DeltaStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in.forward;
    LowRankWalk<S> at(a, args.a, args.b, shared_numbers<C>(), global ? args.in.d_start : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(args.in.d_last);
    at.begin_decay(args.in, lane);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        at.stage_step(t, args.in.d_out);
        C* x = at.values_at(args.room, t);
        at.rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < at.value; n += kWarp) {
                row[n] += at.q[c] * at.d_out[n];
                at.partial[warp * at.value + n] += row[n] * at.k[c];
            }
        });
        at.write_partial(row_of(args.in.dv, t, at.b, at.h));
        at.rows([&](int64_t c, C* row) {
            for (int64_t n = lane; n < at.value; n += kWarp) at.partial[warp * at.value + n] -= row[n] * at.into[c];
        });
        at.sum_partial([&](int64_t n, C dx) { at.more[n] = dx; });
        C of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            C dk = 0, db = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                dk += row[n] * at.v[n];
                db -= row[n] * x[n];
                row[n] = (row[n] + at.erase[c] * at.more[n]) * at.left[c];
            }
            dk = warp_sum(dk);
            db = warp_sum(db);
            const C decays = -at.k[c] * dk - at.into[c] * db;
            of_warp += decays;
            if (lane != 0) return;
            put(row_of(args.in.dk, t, at.b, at.h)[c], dk);
            put(row_of(args.db, t, at.b, at.h)[c], db);
            at.add_channel_decay(args.in, t, c, decays);
        });
        at.add_decay(args.in, t, of_warp);
        // x is read: dx takes its place; what da is made with needs both x and dx, so x is made anew there
        for (int64_t n = threadIdx.x; n < at.value; n += kThreads) x[n] = at.more[n];
    }
    at.store(args.in.d_start);
}

template <class S>
__global__ void __launch_bounds__(kThreads) low_rank_reader_kernel(DeltaStateBackward<S> args, bool global) {
    using C = Compute<S>;
    const MatrixStateForward<S>& a = args.in.forward;
    LowRankWalk<S> at(a, args.a, args.b, shared_numbers<C>(), global ? a.kept : nullptr);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    at.load(a.start);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        at.stage_step(t, {});
        at.read(lane, warp);
        const C* dx = at.values_at(args.room, t);
        C of_warp = 0;
        at.rows([&](int64_t c, C* row) {
            C da = 0;
            for (int64_t n = lane; n < at.value; n += kWarp) {
                da += row[n] * dx[n];
                row[n] += at.written(c, n);
            }
            da = warp_sum(da);
            of_warp += at.erase[c] * da;
            if (lane != 0) return;
            put(row_of(args.da, t, at.b, at.h)[c], da);
            at.add_channel_decay(args.in, t, c, at.erase[c] * da);
        });
        at.add_decay(args.in, t, of_warp);
    }
}

}  // namespace

template <class S> int low_rank_forward(const DeltaStateForward<S>& args, void* stream) {
    return launch<S>(low_rank_forward_kernel<S>, args, args.in.shape, stream, corrected_rows());
}

template <class S> int low_rank_backward(const DeltaStateBackward<S>& args, void* stream) {
    const MatrixStateShape& shape = args.in.forward.shape;
    int status = launch<S>(low_rank_query_kernel<S>, args, shape, stream, corrected_rows());
    if (!status) status = launch<S>(low_rank_value_kernel<S>, args, shape, stream, corrected_rows());
    if (!status) status = launch<S>(low_rank_reader_kernel<S>, args, shape, stream, corrected_rows());
    return status;
}

#define LITHE_INSTANTIATE(S)                                              \
    template int low_rank_forward<S>(const DeltaStateForward<S>&, void*); \
    template int low_rank_backward<S>(const DeltaStateBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
