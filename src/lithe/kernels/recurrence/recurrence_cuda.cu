// One thread walks one column (row b, direction, unit e) through time; neighbouring threads hold neighbouring units, so
// every plane is read and written in whole transactions. What a step reads does not depend on the step before it: the
// planes of the next kAhead steps are on their way during the arithmetic of these. Indices are 64-bit.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/recurrence/recurrence.h"

namespace lithe::kernels::cuda {
namespace {

template <class C> __device__ inline C root(C x) { return sqrt(x); }
template <class C> __device__ inline C smaller(C a, C b) { return a < b ? a : b; }
template <class C> __device__ inline C one_minus_exp(C x, C) { return -expm1(x); }

}  // namespace
}  // namespace lithe::kernels::cuda

#define LITHE_ISA cuda
#define LITHE_CELL __device__ inline
#include "lithe/kernels/recurrence/cells.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kColumnThreads = 64;  // few columns: more blocks than processors matter more than full blocks
constexpr int kAhead = 8;           // steps

template <class S> struct Column {
    const RecurrenceForward<S>& a;
    int64_t b, direction, e, planes;

    __device__ Column(const RecurrenceForward<S>& args, int64_t index, int64_t cell_planes)
        : a(args),
          planes(cell_planes) {
        b = index / columns();
        direction = index % columns() / args.shape.width;
        e = index % args.shape.width;
    }
    __device__ int64_t columns() const { return a.shape.directions * a.shape.width; }
    __device__ int64_t unit() const { return direction * a.shape.width + e; }
    __device__ int64_t time(int64_t walked) const { return direction == 0 ? walked : a.shape.steps - 1 - walked; }
    __device__ int64_t row(int64_t t) const { return (t * a.shape.batch + b) * columns() + unit(); }
    __device__ int64_t u_at(int64_t t, int plane) const {
        return (((t * a.shape.batch + b) * a.shape.directions + direction) * planes + plane) * a.shape.width + e;
    }
    __device__ uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0); }
};

// What a column reads once.
template <class C> struct Constants {
    C w[kMostWeights] = {}, mask, alpha;
    bool starts_whole, starts_here;

    template <class S> __device__ Constants(const RecurrenceForward<S>& a, int64_t unit, int64_t index, int weights) {
        for (int k = 0; k < kMostWeights; ++k)
            if (k < weights) w[k] = a.w[k][unit];
        mask = a.mask ? a.mask[index] : C(1);
        alpha = a.alpha;
        starts_whole = a.shape.whole_start;
        starts_here = !a.c0;
    }
};

// What a step reads: raw, so that nothing waits for it before its turn.
template <class S, class Cell> struct Planes {
    S u[Cell::kPlanes], x;
    uint8_t flags;

    __device__ void read(const Column<S>& at, int64_t t) {
#pragma unroll
        for (int plane = 0; plane < Cell::kPlanes; ++plane) u[plane] = at.a.u[at.u_at(t, plane)];
        if constexpr (Cell::kReadsX) x = at.a.x[at.row(t)];
        flags = at.flags(t);
    }
};

template <class S, class Cell> struct Input {
    using C = Compute<S>;
    const Planes<S, Cell>& planes;
    const Constants<C>& constants;
    bool first;
    __device__ C u(int plane) const { return get(planes.u[plane]); }
    __device__ C x() const { return get(planes.x); }
    __device__ C w(int number) const { return constants.w[number]; }
    __device__ C masked(C v) const { return v * constants.mask; }
    __device__ C alpha() const { return constants.alpha; }
    __device__ bool begins() const {
        return constants.starts_whole && ((planes.flags & kDocumentBegins) || (first && constants.starts_here));
    }
};

template <class S> struct Output {
    using C = Compute<S>;
    const RecurrenceBackward<S>& args;
    const Column<S>& at;
    int64_t t;
    C* sums;
    __device__ void du(int plane, C v) const { put(args.du[at.u_at(t, plane)], v); }
    __device__ void dx(C v) const { put(args.dx[at.row(t)], v); }
    __device__ void dw(int number, C v) const { sums[number] += v; }
};

template <class S, class Cell>
__global__ void __launch_bounds__(kColumnThreads) forward_kernel(RecurrenceForward<S> a) {
    using C = Compute<S>;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * (a.shape.directions * a.shape.width)) return;
    const Column<S> at(a, index, Cell::kPlanes);
    const int64_t steps = a.shape.steps;
    const Constants<C> constants(a, at.unit(), index, Cell::kWeights);
    C c = a.c0 ? a.c0[index] : C(0);
    Planes<S, Cell> now[kAhead], next[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i)
        if (i < steps) now[i].read(at, at.time(i));
    for (int64_t first = 0; first < steps; first += kAhead) {
#pragma unroll
        for (int i = 0; i < kAhead; ++i)
            if (first + kAhead + i < steps) next[i].read(at, at.time(first + kAhead + i));
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
            if (first + i >= steps) break;
            const int64_t t = at.time(first + i);
            if (now[i].flags & kDocumentBegins) c = 0;
            C h = 0;
            if (!(now[i].flags & kPadding)) {
                const Step<C> result = Cell::template step<C>(Input<S, Cell>{now[i], constants, first + i == 0}, c);
                c = result.c;
                h = result.h;
            }
            put(a.h[at.row(t)], h);
            if (a.c) a.c[at.row(t)] = c;
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) now[i] = next[i];
    }
    a.c_last[index] = c;
}

template <class S, class Cell> struct BackwardPlanes : Planes<S, Cell> {
    S dh;
    Compute<S> before;  // c of the step before, as it was written

    __device__ void read(const Column<S>& at, const S* dh_all, int64_t walked) {
        Planes<S, Cell>::read(at, at.time(walked));
        dh = dh_all[at.row(at.time(walked))];
        if (walked > 0) before = at.a.c[at.row(at.time(walked - 1))];
    }
};

template <class S, class Cell>
__global__ void __launch_bounds__(kColumnThreads) backward_kernel(RecurrenceBackward<S> args) {
    using C = Compute<S>;
    const RecurrenceForward<S>& a = args.forward;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * (a.shape.directions * a.shape.width)) return;
    const Column<S> at(a, index, Cell::kPlanes);
    const int64_t last = a.shape.steps - 1;
    const Constants<C> constants(a, at.unit(), index, Cell::kWeights);
    const C c0 = a.c0 ? a.c0[index] : C(0);
    C dc = args.dc_last ? args.dc_last[index] : C(0), sums[kMostWeights] = {};
    C c = a.c[at.row(at.time(last))];
    BackwardPlanes<S, Cell> now[kAhead], next[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i)
        if (i <= last) now[i].read(at, args.dh, last - i);
    for (int64_t first = 0; first <= last; first += kAhead) {
#pragma unroll
        for (int i = 0; i < kAhead; ++i)
            if (first + kAhead + i <= last) next[i].read(at, args.dh, last - first - kAhead - i);
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
            const int64_t walked = last - first - i;
            if (walked < 0) break;
            const int64_t t = at.time(walked);
            const bool begins = now[i].flags & kDocumentBegins;
            const C earlier = walked == 0 ? c0 : now[i].before;
            const Output<S> out{args, at, t, sums};
            if (now[i].flags & kPadding) {
                for (int plane = 0; plane < Cell::kPlanes; ++plane) out.du(plane, C(0));
                if (Cell::kReadsX) out.dx(C(0));
            } else {
                dc = Cell::template back<C>(Input<S, Cell>{now[i], constants, walked == 0}, out,
                                            begins ? C(0) : earlier, c, dc, get(now[i].dh));
            }
            if (begins) dc = 0;
            c = earlier;
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) now[i] = next[i];
    }
    args.dc0[index] = dc;
    // one value per batch row, added by the sums kernel in order: the same bits every time
    for (int k = 0; k < Cell::kWeights; ++k)
        args.partial[(at.b * Cell::kWeights + k) * at.columns() + at.unit()] = sums[k];
}

template <class S> __global__ void sums_kernel(RecurrenceBackward<S> args, int64_t numbers) {
    using C = Compute<S>;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= numbers) return;
    C total = 0;
    for (int64_t b = 0; b < args.forward.shape.batch; ++b) total += args.partial[b * numbers + index];
    args.dw[index] = total;
}

// Instantiates both kernels of every cell; which one runs is known on the host.
template <class S> struct Launch {
    int64_t count;
    cudaStream_t stream;
    template <class Cell> void forward(const RecurrenceForward<S>& args) const {
        forward_kernel<S, Cell><<<blocks_for(count, kColumnThreads), kColumnThreads, 0, stream>>>(args);
    }
    template <class Cell> void backward(const RecurrenceBackward<S>& args) const {
        backward_kernel<S, Cell><<<blocks_for(count, kColumnThreads), kColumnThreads, 0, stream>>>(args);
        const int64_t numbers = Cell::kWeights * args.forward.shape.columns();
        if (numbers > 0) sums_kernel<S><<<blocks_for(numbers), kThreads, 0, stream>>>(args, numbers);
    }
};

}  // namespace

template <class S> int recurrence_forward(const RecurrenceForward<S>& args, void* stream) {
    const int64_t count = args.shape.batch * args.shape.columns();
    if (count == 0 || args.shape.steps == 0) return 0;
    const Launch<S> launch{count, static_cast<cudaStream_t>(stream)};
    with_cell(args.shape.cell, [&](auto cell) { launch.template forward<decltype(cell)>(args); });
    return int(cudaGetLastError());
}

template <class S> int recurrence_backward(const RecurrenceBackward<S>& args, void* stream) {
    const int64_t count = args.forward.shape.batch * args.forward.shape.columns();
    if (count == 0 || args.forward.shape.steps == 0) return 0;
    const Launch<S> launch{count, static_cast<cudaStream_t>(stream)};
    with_cell(args.forward.shape.cell, [&](auto cell) { launch.template backward<decltype(cell)>(args); });
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                                \
    template int recurrence_forward<S>(const RecurrenceForward<S>&, void*); \
    template int recurrence_backward<S>(const RecurrenceBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
