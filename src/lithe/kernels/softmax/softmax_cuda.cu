// One block per row of scores; the row is read twice and written once.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/softmax/softmax.h"

namespace lithe::kernels::cuda {
namespace {

struct Row {
    int64_t begin, end;
    const uint8_t* hidden;
    __device__ Row(const SoftmaxMask& mask, int64_t row) {
        const int64_t b = row / (mask.heads * mask.queries), i = row % mask.queries,
                      position = mask.keys - mask.queries + i;
        begin = 0;
        end = mask.causal ? position + 1 : mask.keys;
        if (mask.window >= 0 && position - mask.window > begin) begin = position - mask.window;
        if (mask.first && mask.first[b * mask.queries + i] > begin) begin = mask.first[b * mask.queries + i];
        hidden = mask.hidden ? mask.hidden + b * mask.keys : nullptr;
    }
    __device__ bool visible(int64_t j) const { return j >= begin && j < end && !(hidden && hidden[j]); }
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
    }
}

template <class S> __global__ void backward_kernel(SoftmaxBackward<S> a, int64_t rows) {
    using C = Compute<S>;
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const S* p = a.probabilities + row * a.mask.keys;
        S* d = a.gradient + row * a.mask.keys;
        C dot = 0;
        for (int64_t j = threadIdx.x; j < a.mask.keys; j += blockDim.x) dot += get(p[j]) * get(d[j]);
        dot = block_sum(dot);
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
