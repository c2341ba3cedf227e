// One block per row of scores; the row is read twice and written once.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/softmax/softmax.h"

namespace lithe::kernels::cuda {
namespace {

struct Row {
    const SoftmaxMask& mask;
    KeyRange range;
    const uint8_t* hidden;
    const QueryBlock* block = nullptr;
    __device__ Row(const SoftmaxMask& of, int64_t row) : mask(of) {
        const int64_t n = row / mask.queries, b = n / mask.heads, i = row % mask.queries;
        range = visible_keys(mask, b, i);
        hidden = mask.hidden ? mask.hidden + b * mask.keys : nullptr;
        if (mask.spans.lists) block = &block_of(mask, b, n % mask.heads, i);
    }
    __device__ bool visible(int64_t j) const {
        return j >= range.begin && j < range.end && !(hidden && hidden[j]) &&
               (!block || in_spans(mask.spans, *block, j));
    }
};

template <class S> __global__ void forward_kernel(SoftmaxForward<S> a, int64_t rows) {
    using C = Compute<S>;
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        Row keys(a.mask, row);
        S* scores = a.scores + row * a.mask.keys;
        C high = C(-3e38);
        for (int64_t j = threadIdx.x; j < a.mask.keys; j += blockDim.x)
            if (keys.visible(j)) high = max(high, a.scale * get(scores[j]));
        high = block_max(high);
        C total = 0;
        for (int64_t j = threadIdx.x; j < a.mask.keys; j += blockDim.x)
            if (keys.visible(j)) total += exponential(a.scale * get(scores[j]) - high);
        total = block_sum(total);
        for (int64_t j = threadIdx.x; j < a.mask.keys; j += blockDim.x)
            put(scores[j], keys.visible(j) ? exponential(a.scale * get(scores[j]) - high) / total : C(0));
        if (a.lse && threadIdx.x == 0) a.lse[row] = total > C(0) ? high + log(total) : C(kNothing);
    }
}

template <class S> __global__ void backward_kernel(SoftmaxBackward<S> a, int64_t rows) {
    using C = Compute<S>;
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const S* p = a.probabilities + row * a.mask.keys;
        S* d = a.gradient + row * a.mask.keys;
        C dot = 0;
        for (int64_t j = threadIdx.x; j < a.mask.keys; j += blockDim.x) dot += get(p[j]) * get(d[j]);
        dot = block_sum(dot) - (a.d_lse ? a.d_lse[row] : C(0));
        for (int64_t j = threadIdx.x; j < a.mask.keys; j += blockDim.x)
            put(d[j], a.scale * get(p[j]) * (get(d[j]) - dot));
    }
}

}  // namespace

template <class S> int softmax_forward(const SoftmaxForward<S>& args, void* stream) {
    const int64_t rows = args.mask.batch * args.mask.heads * args.mask.queries;
    if (rows == 0 || args.mask.keys == 0) return 0;
    forward_kernel<S><<<blocks_for(rows, 1), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args, rows);
    return int(cudaGetLastError());
}

template <class S> int softmax_backward(const SoftmaxBackward<S>& args, void* stream) {
    const int64_t rows = args.mask.batch * args.mask.heads * args.mask.queries;
    if (rows == 0 || args.mask.keys == 0) return 0;
    backward_kernel<S><<<blocks_for(rows, 1), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args, rows);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                          \
    template int softmax_forward<S>(const SoftmaxForward<S>&, void*); \
    template int softmax_backward<S>(const SoftmaxBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
