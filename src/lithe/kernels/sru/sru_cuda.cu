// One thread walks one column (row b, direction, unit e) through time; neighbouring threads hold neighbouring units, so
// every plane is read and written in whole transactions. What a step reads does not depend on the step before it: the
// planes of the next kAhead steps are on their way during the arithmetic of these. Indices are 64-bit.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kColumnThreads = 64;  // few columns: more blocks than processors matter more than full blocks
constexpr int kAhead = 8;           // steps

template <class S> struct Column {
    const SruForward<S>& a;
    int64_t b, direction, e;

    __device__ Column(const SruForward<S>& args, int64_t index) : a(args) {
        const int64_t columns = (args.shape.directions * args.shape.width);
        b = index / columns;
        direction = index % columns / args.shape.width;
        e = index % args.shape.width;
    }
    __device__ int64_t columns() const { return (a.shape.directions * a.shape.width); }
    __device__ int64_t unit() const { return direction * a.shape.width + e; }
    __device__ int64_t time(int64_t walked) const { return direction == 0 ? walked : a.shape.steps - 1 - walked; }
    __device__ int64_t row(int64_t t) const { return (t * a.shape.batch + b) * columns() + unit(); }
    __device__ int64_t u_at(int64_t t, int plane) const {
        return (((t * a.shape.batch + b) * a.shape.directions + direction) * a.shape.planes + plane) * a.shape.width +
               e;
    }
    __device__ uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : uint8_t(0); }
};

// What a step reads: raw, so that nothing waits for it before its turn.
template <class S> struct Planes {
    S u0, u1, u2, skip;
    uint8_t flags;

    __device__ void read(const Column<S>& at, int64_t t) {
        const auto& a = at.a;
        u0 = a.u[at.u_at(t, 0)], u1 = a.u[at.u_at(t, 1)], u2 = a.u[at.u_at(t, 2)];
        if (a.shape.planes == 4) skip = a.u[at.u_at(t, 3)];
        else if (a.x) skip = a.x[at.row(t)];
        flags = at.flags(t);
    }
    __device__ Compute<S> skipped(const SruForward<S>& a) const {
        return a.shape.planes == 4 ? get(skip) : a.x ? a.alpha * get(skip) : Compute<S>(0);
    }
};

template <class S> __global__ void __launch_bounds__(kColumnThreads) forward_kernel(SruForward<S> a) {
    using C = Compute<S>;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * (a.shape.directions * a.shape.width)) return;
    Column<S> at(a, index);
    const int64_t n = at.unit(), columns = at.columns(), steps = a.shape.steps;
    const C v_f = a.v[n], v_r = a.v[columns + n], b_f = a.bias[n], b_r = a.bias[columns + n];
    const C m = a.mask ? a.mask[index] : C(1);
    C c = a.c0 ? a.c0[index] : C(0);
    Planes<S> now[kAhead], next[kAhead];
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
            const Planes<S>& p = now[i];
            const int64_t t = at.time(first + i);
            if (p.flags & kDocumentBegins) c = 0;
            C h = 0;
            if (!(p.flags & kPadding)) {
                const C u0 = get(p.u0), skip = p.skipped(a);
                const C f = sigmoid(get(p.u1) + v_f * c + b_f), r = sigmoid(get(p.u2) + v_r * c + b_r);
                c = u0 + (c - u0) * f;
                const C g = a.shape.tanh ? tanh(c) : c;
                h = skip + (g - skip) * m * r;
            }
            put(a.h[at.row(t)], h);
            if (a.c) a.c[at.row(t)] = c;
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) now[i] = next[i];
    }
    a.c_last[index] = c;
}

template <class S> struct BackwardPlanes : Planes<S> {
    S dh;
    Compute<S> before;  // c of the step before, as it was written

    __device__ void read(const Column<S>& at, const S* dh_all, int64_t walked) {
        Planes<S>::read(at, at.time(walked));
        dh = dh_all[at.row(at.time(walked))];
        if (walked > 0) before = at.a.c[at.row(at.time(walked - 1))];
    }
};

template <class S> __global__ void __launch_bounds__(kColumnThreads) backward_kernel(SruBackward<S> args) {
    using C = Compute<S>;
    const SruForward<S>& a = args.forward;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * (a.shape.directions * a.shape.width)) return;
    Column<S> at(a, index);
    const int64_t n = at.unit(), columns = at.columns(), last = a.shape.steps - 1;
    const C v_f = a.v[n], v_r = a.v[columns + n], b_f = a.bias[n], b_r = a.bias[columns + n];
    const C m = a.mask ? a.mask[index] : C(1), c0 = a.c0 ? a.c0[index] : C(0);
    C carry = args.dc_last ? args.dc_last[index] : C(0), sum_vf = 0, sum_vr = 0, sum_bf = 0, sum_br = 0;
    C c = a.c[at.row(at.time(last))];
    BackwardPlanes<S> now[kAhead], next[kAhead];
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
            const BackwardPlanes<S>& p = now[i];
            const int64_t t = at.time(walked);
            const C earlier = walked == 0 ? c0 : p.before;
            if (p.flags & kPadding) {
                for (int plane = 0; plane < a.shape.planes; ++plane) put(args.du[at.u_at(t, plane)], C(0));
                if (args.dx) put(args.dx[at.row(t)], C(0));
            } else {
                const C before = p.flags & kDocumentBegins ? C(0) : earlier, u0 = get(p.u0), skip = p.skipped(a);
                const C f = sigmoid(get(p.u1) + v_f * before + b_f), r = sigmoid(get(p.u2) + v_r * before + b_r);
                const C dh = get(p.dh);
                const C g = a.shape.tanh ? tanh(c) : c, slope = a.shape.tanh ? 1 - g * g : C(1);
                const C delta_r = dh * (g - skip) * m * r * (1 - r);
                const C delta_c = carry + dh * m * r * slope;
                const C delta_f = delta_c * (before - u0) * f * (1 - f);
                put(args.du[at.u_at(t, 0)], delta_c * (1 - f));
                put(args.du[at.u_at(t, 1)], delta_f);
                put(args.du[at.u_at(t, 2)], delta_r);
                if (a.shape.planes == 4) put(args.du[at.u_at(t, 3)], dh * (1 - m * r));
                if (args.dx) put(args.dx[at.row(t)], a.alpha * dh * (1 - m * r));
                sum_vf += delta_f * before, sum_vr += delta_r * before, sum_bf += delta_f, sum_br += delta_r;
                carry = delta_c * f + delta_f * v_f + delta_r * v_r;
            }
            if (p.flags & kDocumentBegins) carry = 0;
            c = earlier;
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) now[i] = next[i];
    }
    args.dc0[index] = carry;
    // one value per batch row, added by the sums kernel in order: the same bits every time
    C* row = args.partial + at.b * 4 * columns;
    row[n] = sum_vf, row[columns + n] = sum_vr, row[2 * columns + n] = sum_bf, row[3 * columns + n] = sum_br;
}

template <class S> __global__ void sums_kernel(SruBackward<S> args) {
    using C = Compute<S>;
    const int64_t columns = (args.forward.shape.directions * args.forward.shape.width);
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= 4 * columns) return;
    C total = 0;
    for (int64_t b = 0; b < args.forward.shape.batch; ++b) total += args.partial[b * 4 * columns + index];
    if (index < 2 * columns) args.dv[index] = total;
    else args.dbias[index - 2 * columns] = total;
}

}  // namespace

template <class S> int sru_forward(const SruForward<S>& args, void* stream) {
    const int64_t count = args.shape.batch * args.shape.columns();
    if (count == 0 || args.shape.steps == 0) return 0;
    forward_kernel<S>
        <<<blocks_for(count, kColumnThreads), kColumnThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

template <class S> int sru_backward(const SruBackward<S>& args, void* stream) {
    const int64_t columns = args.forward.shape.columns(), count = args.forward.shape.batch * columns;
    if (count == 0 || args.forward.shape.steps == 0) return 0;
    backward_kernel<S>
        <<<blocks_for(count, kColumnThreads), kColumnThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    sums_kernel<S><<<blocks_for(4 * columns), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

#define LITHE_INSTANTIATE(S)                                  \
    template int sru_forward<S>(const SruForward<S>&, void*); \
    template int sru_backward<S>(const SruBackward<S>&, void*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)

}  // namespace lithe::kernels::cuda
