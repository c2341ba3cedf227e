// One block per row of logits.
#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/cuda_types.h"

namespace lithe::kernels::cuda {
namespace {

template <class S> __device__ Compute<S> logit(const CrossEntropyArgs<S>& a, int64_t n, int64_t v) {
    return get(a.logits[n * a.vocabulary + v]) + (a.bias ? a.bias[v] : Compute<S>(0));
}

// As CrossEntropyArgs::each and at_target, which are the host's.
template <class S> __device__ Compute<S> each(const CrossEntropyArgs<S>& a) {
    return a.smoothing > 0 ? a.smoothing / Compute<S>(a.vocabulary - 1) : Compute<S>(0);
}
template <class S> __device__ Compute<S> at_target(const CrossEntropyArgs<S>& a) {
    return Compute<S>(1) - a.smoothing - each(a);
}

template <class S> __global__ void forward_kernel(CrossEntropyArgs<S> a) {
    using C = Compute<S>;
    for (int64_t n = blockIdx.x; n < a.rows; n += gridDim.x) {
        C high = C(-3e38), total = 0;
        for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x) high = max(high, logit(a, n, v));
        high = block_max(high);
        for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x) total += exponential(logit(a, n, v) - high);
        total = block_sum(total);
        C logits = 0;
        if (a.smoothing > 0) {
            for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x) logits += logit(a, n, v);
            logits = block_sum(logits);
        }
        if (threadIdx.x == 0) {
            a.lse[n] = high + log(total);
            const int64_t target = a.targets[n];
            if (target < -1 || target >= a.vocabulary) a.loss[n] = C(NAN);
            else if (target < 0) a.loss[n] = C(0);
            else a.loss[n] = a.lse[n] - at_target(a) * logit(a, n, target) - each(a) * logits;
        }
    }
}

template <class S> __global__ void backward_kernel(CrossEntropyArgs<S> a) {
    using C = Compute<S>;
    for (int64_t n = blockIdx.x; n < a.rows; n += gridDim.x) {
        const int64_t target = a.targets[n];
        const C weight = target < 0 ? C(0) : a.weight[n], lse = a.lse[n];
        for (int64_t v = threadIdx.x; v < a.vocabulary; v += blockDim.x)
            put(a.logits[n * a.vocabulary + v],
                weight * (exponential(logit(a, n, v) - lse) - each(a) - (v == target ? at_target(a) : C(0))));
    }
}

}  // namespace

template <class S> int cross_entropy_forward(const CrossEntropyArgs<S>& args, void* stream) {
    if (args.rows == 0 || args.vocabulary == 0) return 0;
    forward_kernel<S><<<blocks_for(args.rows, 1), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

template <class S> int cross_entropy_backward(const CrossEntropyArgs<S>& args, void* stream) {
    if (args.rows == 0 || args.vocabulary == 0) return 0;
    backward_kernel<S><<<blocks_for(args.rows, 1), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                                  \
    template int cross_entropy_forward<S>(const CrossEntropyArgs<S>&, void*); \
    template int cross_entropy_backward<S>(const CrossEntropyArgs<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
