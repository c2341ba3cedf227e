// One thread walks one column (row b, unit e) through time; neighbouring threads hold neighbouring units, so every row
// is read and written in whole transactions. Tokens that a tap sees again are in registers, or in the cache.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/short_convolution/short_convolution_steps.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kColumnThreads = 64;  // few columns: more blocks than processors matter more than full blocks

// kTaps 0: as many as the shape says.
template <int kTaps, class S> struct Column {
    using C = Compute<S>;
    static constexpr int kMost = kTaps ? kTaps : kMostTaps;
    const ShortConvolutionForward<S>& a;
    int64_t b, e;
    C w[kMost], bias;  // w[j]: of the j-th token before

    __device__ Column(const ShortConvolutionForward<S>& args, int64_t index)
        : a(args),
          b(index / args.shape.width),
          e(index % args.shape.width) {
#pragma unroll
        for (int j = 0; j < kMost; ++j) w[j] = j < taps() ? a.w[(taps() - 1 - j) * a.shape.width + e] : C(0);
        bias = a.bias ? a.bias[e] : C(0);
    }
    __device__ int taps() const { return kTaps ? kTaps : a.shape.taps; }
    __device__ int64_t at(int64_t t) const { return (t * a.shape.batch + b) * a.shape.width + e; }
    __device__ uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0); }
    __device__ C token(int64_t step) const {
        const S* from = token_at(a, step, b, e);
        return from ? get(*from) : C(0);
    }
    __device__ C sum(const C* tokens) const {
        C z = bias;
#pragma unroll
        for (int j = 0; j < kMost; ++j) z += w[j] * tokens[j];
        return z;
    }
};

template <int kTaps, class S>
__global__ void __launch_bounds__(kColumnThreads) forward_kernel(ShortConvolutionForward<S> a) {
    using C = Compute<S>;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * a.shape.width) return;
    const Column<kTaps, S> at(a, index);
    constexpr int kMost = Column<kTaps, S>::kMost;
    C tokens[kMost];  // [j]: the j-th before, 0 beyond the last tap's
#pragma unroll
    for (int j = 0; j < kMost; ++j) tokens[j] = j + 1 < at.taps() ? at.token(-1 - j) : C(0);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        const uint8_t flags = at.flags(t);
#pragma unroll
        for (int j = 0; j < kMost; ++j)
            if (flags & kDocumentBegins) tokens[j] = 0;
        C y = 0;
        if (!(flags & kPadding)) {
#pragma unroll
            for (int j = kMost - 1; j > 0; --j) tokens[j] = tokens[j - 1];
            tokens[0] = get(a.x[at.at(t)]);
            y = at.sum(tokens);
            if (a.shape.silu) y *= sigmoid(y);
        }
        put(a.y[at.at(t)], y);
    }
#pragma unroll
    for (int j = 0; j < kMost; ++j)
        if (j + 1 < at.taps()) put(a.last[at.at(at.taps() - 2 - j)], tokens[j]);
}

template <int kTaps, class S>
__global__ void __launch_bounds__(kColumnThreads) backward_kernel(ShortConvolutionBackward<S> args) {
    using C = Compute<S>;
    const ShortConvolutionForward<S>& a = args.forward;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * a.shape.width) return;
    const Column<kTaps, S> at(a, index);
    constexpr int kMost = Column<kTaps, S>::kMost;
    const int taps = at.taps();
    C later[kMost + 1], dw[kMost], dbias = 0;  // later[j]: gradient of the j-th token before, by what followed
#pragma unroll
    for (int j = 0; j <= kMost; ++j)
        later[j] = args.dlast && j + 1 < taps ? get(args.dlast[at.at(taps - 2 - j)]) : C(0);
#pragma unroll
    for (int j = 0; j < kMost; ++j) dw[j] = 0;
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        const uint8_t flags = at.flags(t);
        C dx = 0;
        if (!(flags & kPadding)) {
            C tokens[kMost];
            int64_t step = t;
#pragma unroll
            for (int j = 0; j < kMost; ++j) {
                tokens[j] = j < taps ? at.token(step) : C(0);
                step = step_before(a.flags, a.shape.batch, at.b, step);
            }
            C dz = get(args.dy[at.at(t)]);
            if (a.shape.silu) {
                const C z = at.sum(tokens), s = sigmoid(z);
                dz *= s * (1 + z * (1 - s));
            }
            dx = at.w[0] * dz + later[0];
#pragma unroll
            for (int j = 0; j < kMost; ++j) {
                dw[j] += dz * tokens[j];
                if (j > 0) later[j - 1] = at.w[j] * dz + later[j];
            }
            dbias += dz;
        }
        put(args.dx[at.at(t)], dx);
#pragma unroll
        for (int j = 0; j < kMost; ++j)
            if (flags & kDocumentBegins) later[j] = 0;
    }
    // one value per batch row, added by the sums kernel in order: the same bits every time
#pragma unroll
    for (int j = 0; j < kMost; ++j) {
        if (j < taps) args.partial[(at.b * (taps + 1) + taps - 1 - j) * a.shape.width + at.e] = dw[j];
        if (args.dbefore && j + 1 < taps) put(args.dbefore[at.at(taps - 2 - j)], later[j]);
    }
    args.partial[(at.b * (taps + 1) + taps) * a.shape.width + at.e] = dbias;
}

template <class S> __global__ void sums_kernel(ShortConvolutionBackward<S> args, int64_t numbers) {
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= numbers) return;
    Compute<S> total = 0;
    for (int64_t b = 0; b < args.forward.shape.batch; ++b) total += args.partial[b * numbers + index];
    args.dw[index] = total;
}

}  // namespace

template <class S> int short_convolution_forward(const ShortConvolutionForward<S>& args, void* stream) {
    const int64_t count = args.shape.batch * args.shape.width;
    if (count == 0) return 0;
    const auto where = static_cast<cudaStream_t>(stream);
    const unsigned blocks = blocks_for(count, kColumnThreads);
    if (args.shape.taps == 4) forward_kernel<4, S><<<blocks, kColumnThreads, 0, where>>>(args);
    else forward_kernel<0, S><<<blocks, kColumnThreads, 0, where>>>(args);
    return int(cudaGetLastError());
}

template <class S> int short_convolution_backward(const ShortConvolutionBackward<S>& args, void* stream) {
    const ShortConvolutionShape& shape = args.forward.shape;
    const int64_t count = shape.batch * shape.width, numbers = (shape.taps + 1) * shape.width;
    if (count == 0) return 0;
    const auto where = static_cast<cudaStream_t>(stream);
    const unsigned blocks = blocks_for(count, kColumnThreads);
    if (shape.taps == 4) backward_kernel<4, S><<<blocks, kColumnThreads, 0, where>>>(args);
    else backward_kernel<0, S><<<blocks, kColumnThreads, 0, where>>>(args);
    sums_kernel<S><<<blocks_for(numbers), kThreads, 0, where>>>(args, numbers);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                                             \
    template int short_convolution_forward<S>(const ShortConvolutionForward<S>&, void*); \
    template int short_convolution_backward<S>(const ShortConvolutionBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
