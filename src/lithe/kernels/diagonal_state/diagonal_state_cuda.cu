// One thread walks one channel of one row through time, chunk by chunk: a chunk's inputs and outputs stay in registers
// while the channel's states pass by, one after the other. Neighbouring threads hold neighbouring channels, so that all
// is read and written in whole transactions; states stand in s_last (ds0) between chunks. Indices are 64-bit.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/diagonal_state/diagonal_state.h"

#define LITHE_ISA cuda
#define LITHE_CELL __device__ inline
#include "lithe/kernels/diagonal_state/diagonal_number.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kChannelThreads = 64;  // few channels: more blocks than processors matter more than full blocks
constexpr int kSteps = int(kDiagonalChunk);

template <class S, DiagonalForm kForm> struct Channel {
    using C = Compute<S>;
    using N = Number<C, kParts<kForm>>;
    const DiagonalForward<S>& a;
    int64_t b, e;

    __device__ Channel(const DiagonalForward<S>& args, int64_t index)
        : a(args),
          b(index / args.shape.width),
          e(index % args.shape.width) {}
    __device__ int64_t numbers() const { return kParts<kForm> * a.shape.states * a.shape.width; }
    __device__ uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0); }
    __device__ N number(const C* all, int64_t n) const {
        N s;
        for (int plane = 0; plane < kParts<kForm>; ++plane)
            s.part[plane] = all ? all[(plane * a.shape.states + n) * a.shape.width + e] : C(0);
        return s;
    }
    __device__ void put_number(C* all, int64_t n, const N& s) const {
        for (int plane = 0; plane < kParts<kForm>; ++plane)
            all[(plane * a.shape.states + n) * a.shape.width + e] = s.part[plane];
    }
    __device__ int64_t at(int64_t t, int plane) const {
        return ((t * a.shape.batch + b) * kInputs<kForm> + plane) * a.shape.width + e;
    }
    // Of the steps from `first` on.
    __device__ void read(const S* from, int64_t first, C (&values)[kSteps][kInputs<kForm>]) const {
#pragma unroll
        for (int i = 0; i < kSteps; ++i)
            for (int plane = 0; plane < kInputs<kForm>; ++plane)
                values[i][plane] = first + i < a.shape.steps ? get(from[at(first + i, plane)]) : C(0);
    }
    __device__ void write(S* to, int64_t first, const C (&values)[kSteps][kInputs<kForm>]) const {
#pragma unroll
        for (int i = 0; i < kSteps; ++i)
            for (int plane = 0; plane < kInputs<kForm>; ++plane)
                if (first + i < a.shape.steps) put(to[at(first + i, plane)], values[i][plane]);
    }
    // Bits of the steps that are padding (with those past the end), and of those that begin a document.
    __device__ void marks(int64_t first, uint32_t& padding, uint32_t& begins) const {
        padding = begins = 0;
        for (int i = 0; i < kSteps; ++i) {
            const uint8_t flag = first + i < a.shape.steps ? flags(first + i) : uint8_t(kPadding);
            padding |= uint32_t((flag & kPadding) != 0) << i;
            begins |= uint32_t((flag & kDocumentBegins) != 0) << i;
        }
    }
};

template <class S, DiagonalForm kForm>
__global__ void __launch_bounds__(kChannelThreads) forward_kernel(DiagonalForward<S> args) {
    using C = Compute<S>;
    using N = Number<C, kParts<kForm>>;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= args.shape.batch * args.shape.width) return;
    const Channel<S, kForm> at(args, index);
    const int64_t row = at.b * at.numbers();
    C* state = args.s_last + row;
    for (int64_t n = 0; n < args.shape.states; ++n)
        at.put_number(state, n, at.number(args.s0 ? args.s0 + row : nullptr, n));
    for (int64_t first = 0; first < args.shape.steps; first += kSteps) {
        C x[kSteps][kInputs<kForm>], y[kSteps][kInputs<kForm>] = {};
        uint32_t padding, begins;
        at.read(args.x, first, x);
        at.marks(first, padding, begins);
        for (int64_t n = 0; n < args.shape.states; ++n) {
            const N a = at.number(args.a, n), c = at.number(args.c, n);
            N s = at.number(state, n);
            if (args.kept) at.put_number(args.kept + first / kSteps * args.shape.batch * at.numbers() + row, n, s);
#pragma unroll
            for (int i = 0; i < kSteps; ++i) {
                if (begins >> i & 1) s = {};
                if (padding >> i & 1) continue;
                s = s.after(a, x[i][0], x[i][kInputs<kForm> - 1]);
                if constexpr (kForm == DiagonalForm::pairs) {
                    y[i][0] = s.part[0];
                    y[i][1] = s.part[1];
                } else y[i][0] += s.read(c);
            }
            at.put_number(state, n, s);
        }
        at.write(args.y, first, y);
    }
}

template <class S, DiagonalForm kForm>
__global__ void __launch_bounds__(kChannelThreads) backward_kernel(DiagonalBackward<S> args) {
    using C = Compute<S>;
    using N = Number<C, kParts<kForm>>;
    const DiagonalForward<S>& a_in = args.forward;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a_in.shape.batch * a_in.shape.width) return;
    const Channel<S, kForm> at(a_in, index);
    const int64_t numbers = at.numbers(), row = at.b * numbers;
    C *state = args.ds0 + row, *of_a = args.partial + 2 * row, *of_c = of_a + numbers;
    for (int64_t n = 0; n < a_in.shape.states; ++n) {
        at.put_number(state, n, at.number(args.ds_last ? args.ds_last + row : nullptr, n));
        at.put_number(of_a, n, {});
        at.put_number(of_c, n, {});
    }
    for (int64_t chunk = (a_in.shape.steps - 1) / kSteps; chunk >= 0; --chunk) {
        const int64_t first = chunk * kSteps;
        C x[kSteps][kInputs<kForm>], dy[kSteps][kInputs<kForm>], dx[kSteps][kInputs<kForm>] = {};
        uint32_t padding, begins;
        at.read(a_in.x, first, x);
        at.read(args.dy, first, dy);
        at.marks(first, padding, begins);
        for (int64_t n = 0; n < a_in.shape.states; ++n) {
            const N a = at.number(a_in.a, n), c = at.number(a_in.c, n);
            N s = at.number(a_in.kept + chunk * a_in.shape.batch * numbers + row, n), before[kSteps];
            N da = at.number(of_a, n), dc = at.number(of_c, n);
#pragma unroll
            for (int i = 0; i < kSteps; ++i) {
                if (begins >> i & 1) s = {};
                before[i] = s;
                if (padding >> i & 1) continue;
                s = s.after(a, x[i][0], x[i][kInputs<kForm> - 1]);
                dc.add(dy[i][0], s);  // of pairs not used
            }
            s = at.number(state, n);  // from here on, its gradient
#pragma unroll
            for (int i = kSteps - 1; i >= 0; --i) {
                if (!(padding >> i & 1)) {
                    if constexpr (kForm == DiagonalForm::pairs) {
                        s.part[0] += dy[i][0];
                        s.part[1] += dy[i][1];
                        dx[i][1] = s.part[1];
                    } else s.add(dy[i][0], c);
                    dx[i][0] += s.part[0];
                    da.add(s.back(before[i]));
                    s = s.back(a);
                }
                if (begins >> i & 1) s = {};
            }
            at.put_number(state, n, s);
            at.put_number(of_a, n, da);
            at.put_number(of_c, n, dc);
        }
        at.write(args.dx, first, dx);
    }
}

// One value for each batch row, added in order: the same bits every time.
template <class S> __global__ void sums_kernel(DiagonalBackward<S> args, int64_t numbers, int64_t stride) {
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= numbers) return;
    Compute<S> total = 0;
    for (int64_t b = 0; b < args.forward.shape.batch; ++b) total += args.partial[b * stride + index];
    args.dac[index] = total;
}

template <template <class, DiagonalForm> class Launch, class S, class Args>
void with_form(const DiagonalShape& shape, const Args& args, cudaStream_t stream) {
    const unsigned blocks = blocks_for(shape.batch * shape.width, kChannelThreads);
    switch (shape.form) {
        case DiagonalForm::real: return Launch<S, DiagonalForm::real>::run(args, blocks, stream);
        case DiagonalForm::complex: return Launch<S, DiagonalForm::complex>::run(args, blocks, stream);
        case DiagonalForm::pairs: return Launch<S, DiagonalForm::pairs>::run(args, blocks, stream);
    }
}
template <class S, DiagonalForm kForm> struct LaunchForward {
    static void run(const DiagonalForward<S>& args, unsigned blocks, cudaStream_t stream) {
        forward_kernel<S, kForm><<<blocks, kChannelThreads, 0, stream>>>(args);
    }
};
template <class S, DiagonalForm kForm> struct LaunchBackward {
    static void run(const DiagonalBackward<S>& args, unsigned blocks, cudaStream_t stream) {
        backward_kernel<S, kForm><<<blocks, kChannelThreads, 0, stream>>>(args);
    }
};

}  // namespace

template <class S> int diagonal_forward(const DiagonalForward<S>& args, void* stream) {
    if (args.shape.batch * args.shape.width == 0 || args.shape.steps == 0) return 0;
    with_form<LaunchForward, S>(args.shape, args, static_cast<cudaStream_t>(stream));
    return int(cudaGetLastError());
}

template <class S> int diagonal_backward(const DiagonalBackward<S>& args, void* stream) {
    const DiagonalShape& shape = args.forward.shape;
    if (shape.batch * shape.width == 0 || shape.steps == 0) return 0;
    with_form<LaunchBackward, S>(shape, args, static_cast<cudaStream_t>(stream));
    const int64_t stride = 2 * shape.state_numbers(),
                  numbers = shape.form == DiagonalForm::pairs ? shape.state_numbers() : stride;
    sums_kernel<S><<<blocks_for(numbers), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args, numbers, stride);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                            \
    template int diagonal_forward<S>(const DiagonalForward<S>&, void*); \
    template int diagonal_backward<S>(const DiagonalBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
