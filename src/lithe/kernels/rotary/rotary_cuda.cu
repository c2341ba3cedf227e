#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/rotary/rotary.h"

namespace lithe::kernels::cuda {
namespace {

// A thread takes a number of a row, and its partner where it is the lower one of a pair.
template <class S> __global__ void rotary_kernel(RotaryArgs<S> a) {
    using C = Compute<S>;
    const int64_t half = a.turned / 2, stride = int64_t(gridDim.x) * blockDim.x;
    const int64_t count = a.steps * a.batch * a.row;
    for (int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += stride) {
        const int64_t r = at / a.row, j = at % a.row, i = j % a.size;
        const bool in_head = j < a.heads * a.size && i < a.turned;
        if (!in_head) {
            a.y[at] = a.x[at];
        } else if (i < half) {
            const C* cosines = a.angles + (a.own_angles ? r : r / a.batch) * a.turned;
            const C cosine = cosines[i], sine = a.inverse ? -cosines[half + i] : cosines[half + i];
            const C low = get(a.x[at]), high = get(a.x[at + half]);
            put(a.y[at], low * cosine - high * sine);
            put(a.y[at + half], high * cosine + low * sine);
        }
    }
}

}  // namespace

template <class S> int rotary(const RotaryArgs<S>& args, void* stream) {
    const int64_t count = args.steps * args.batch * args.row;
    if (count == 0) return 0;
    rotary_kernel<S><<<blocks_for(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

template int rotary<float>(const RotaryArgs<float>&, void*);
template int rotary<bfloat16>(const RotaryArgs<bfloat16>&, void*);
template int rotary<double>(const RotaryArgs<double>&, void*);

}  // namespace lithe::kernels::cuda
