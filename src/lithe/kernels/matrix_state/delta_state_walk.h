// What both forms of delta_state on CUDA have in common. Included by *_cuda.cu alone.
#pragma once

#include "lithe/kernels/matrix_state/delta_state.h"
#include "lithe/kernels/matrix_state/matrix_state_walk.h"

namespace lithe::kernels::cuda {

// The form with rows a and b.
template <class S> int low_rank_forward(const DeltaStateForward<S>& args, void* stream);
template <class S> int low_rank_backward(const DeltaStateBackward<S>& args, void* stream);

namespace {

// Shared memory beside Walk's: numbers of a value, and two of a key.
__host__ __device__ inline MoreRows corrected_rows() { return {2, 1}; }

template <class S> struct CorrectedWalk : Walk<S> {
    using C = Compute<S>;
    C* more;  // [value]

    __device__ CorrectedWalk(const MatrixStateForward<S>& args, C* shared, C* global)
        : Walk<S>(args, shared, global, corrected_rows()),
          more(this->beside) {}
    // Of the room: numbers of values [value] and of keys [key], by batch row, head and step.
    __device__ C* values_at(C* room, int64_t t) const {
        return room + (blockIdx.x * this->a.shape.steps + t) * this->value;
    }
    __device__ C* keys_at(C* room, int64_t t) const {
        const MatrixStateShape& shape = this->a.shape;
        return room + shape.steps * shape.batch * shape.heads * shape.value +
               (blockIdx.x * shape.steps + t) * shape.key;
    }

    // S_t from R_t by written(c, n), and dq; q dq goes where dg will stand.
    template <class Written>
    __device__ void put_query_gradients(const MatrixStateBackward<S>& args, int64_t t, int lane,
                                        const Written& written) {
        C of_warp = 0;
        this->rows([&](int64_t c, C* row) {
            C dq = 0;
            for (int64_t n = lane; n < this->value; n += kWarp) {
                row[n] += written(c, n);
                dq += row[n] * this->d_out[n];
            }
            dq = warp_sum(dq);
            of_warp += this->q[c] * dq;
            if (lane != 0) return;
            put(row_of(args.dq, t, this->b, this->h)[c], this->a.scale * dq);
            if (args.dg.data && this->by_channel()) row_of(args.dg, t, this->b, this->h)[c] = this->q[c] * dq;
        });
        const C total = this->over_warps(of_warp);
        if (threadIdx.x == 0 && args.dg.data && !this->by_channel()) *row_of(args.dg, t, this->b, this->h) = total;
    }

    // dg_t += what is found for a channel, or what warps found for all channels.
    __device__ void add_channel_decay(const MatrixStateBackward<S>& args, int64_t t, int64_t c, C of_channel) const {
        if (args.dg.data && this->by_channel()) row_of(args.dg, t, this->b, this->h)[c] += of_channel;
    }
    __device__ void add_decay(const MatrixStateBackward<S>& args, int64_t t, C of_warp) {
        const C total = this->over_warps(of_warp);
        if (threadIdx.x == 0 && args.dg.data && !this->by_channel()) *row_of(args.dg, t, this->b, this->h) += total;
    }
    // The last dg += sums of the last state by its gradient, which is the present state.
    __device__ void begin_decay(const MatrixStateBackward<S>& args, int lane) {
        const int64_t last = this->a.shape.steps - 1;
        C of_warp = 0;
        this->rows([&](int64_t c, C* row) {
            const C* state = this->a.last + (blockIdx.x * this->key + c) * this->value;
            C dot = 0;
            for (int64_t n = lane; n < this->value; n += kWarp) dot += state[n] * row[n];
            dot = warp_sum(dot);
            of_warp += dot;
            if (lane == 0) add_channel_decay(args, last, c, dot);
        });
        add_decay(args, last, of_warp);
    }
};

}  // namespace
}  // namespace lithe::kernels::cuda
