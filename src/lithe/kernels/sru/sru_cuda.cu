// One thread walks one column (row b, direction, unit e) through time; neighbouring threads hold neighbouring units, so
// every plane is read and written in whole transactions. The next step's planes are loaded before this step's
// arithmetic. Indices are 64-bit.
#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels::cuda {
namespace {

constexpr int kColumnThreads = 128;

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

template <class S> struct Planes { Compute<S> u0, u1, u2, skip; };

template <class S> __device__ Planes<S> read_planes(const Column<S>& at, int64_t t) {
    using C = Compute<S>;
    const auto& a = at.a;
    Planes<S> p;
    p.u0 = get(a.u[at.u_at(t, 0)]);
    p.u1 = get(a.u[at.u_at(t, 1)]);
    p.u2 = get(a.u[at.u_at(t, 2)]);
    p.skip = a.shape.planes == 4 ? get(a.u[at.u_at(t, 3)]) : a.x ? a.alpha * get(a.x[at.row(t)]) : C(0);
    return p;
}

template <class S> __global__ void __launch_bounds__(kColumnThreads) forward_kernel(SruForward<S> a) {
    using C = Compute<S>;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * (a.shape.directions * a.shape.width)) return;
    Column<S> at(a, index);
    const int64_t n = at.unit(), columns = at.columns();
    const C v_f = a.v[n], v_r = a.v[columns + n], b_f = a.bias[n], b_r = a.bias[columns + n];
    const C m = a.mask ? a.mask[index] : C(1);
    C c = a.c0 ? a.c0[index] : C(0);
    Planes<S> now = read_planes(at, at.time(0));
    for (int64_t walked = 0; walked < a.shape.steps; ++walked) {
        const int64_t t = at.time(walked);
        Planes<S> next = walked + 1 < a.shape.steps ? read_planes(at, at.time(walked + 1)) : now;
        const uint8_t flags = at.flags(t);
        if (flags & kSruReset) c = 0;
        C h = 0;
        if (!(flags & kSruPad)) {
            const C f = sigmoid(now.u1 + v_f * c + b_f), r = sigmoid(now.u2 + v_r * c + b_r);
            c = now.u0 + (c - now.u0) * f;
            const C g = a.shape.tanh ? tanh(c) : c;
            h = now.skip + (g - now.skip) * m * r;
        }
        put(a.h[at.row(t)], h);
        if (a.c) a.c[at.row(t)] = c;
        now = next;
    }
    a.c_last[index] = c;
}

template <class S> __global__ void __launch_bounds__(kColumnThreads) backward_kernel(SruBackward<S> args) {
    using C = Compute<S>;
    const SruForward<S>& a = args.forward;
    const int64_t index = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= a.shape.batch * (a.shape.directions * a.shape.width)) return;
    Column<S> at(a, index);
    const int64_t n = at.unit(), columns = at.columns();
    const C v_f = a.v[n], v_r = a.v[columns + n], b_f = a.bias[n], b_r = a.bias[columns + n];
    const C m = a.mask ? a.mask[index] : C(1), c0 = a.c0 ? a.c0[index] : C(0);
    C carry = args.dc_last ? args.dc_last[index] : C(0), sum_vf = 0, sum_vr = 0, sum_bf = 0, sum_br = 0;
    for (int64_t walked = a.shape.steps - 1; walked >= 0; --walked) {
        const int64_t t = at.time(walked);
        const uint8_t flags = at.flags(t);
        if (flags & kSruPad) {
            for (int plane = 0; plane < a.shape.planes; ++plane) put(args.du[at.u_at(t, plane)], C(0));
            if (args.dx) put(args.dx[at.row(t)], C(0));
        } else {
            const Planes<S> p = read_planes(at, t);
            const C before = flags & kSruReset ? C(0) : walked == 0 ? c0 : a.c[at.row(at.time(walked - 1))];
            const C f = sigmoid(p.u1 + v_f * before + b_f), r = sigmoid(p.u2 + v_r * before + b_r);
            const C c = a.c[at.row(t)], dh = get(args.dh[at.row(t)]);
            const C g = a.shape.tanh ? tanh(c) : c, slope = a.shape.tanh ? 1 - g * g : C(1);
            const C delta_r = dh * (g - p.skip) * m * r * (1 - r);
            const C delta_c = carry + dh * m * r * slope;
            const C delta_f = delta_c * (before - p.u0) * f * (1 - f);
            put(args.du[at.u_at(t, 0)], delta_c * (1 - f));
            put(args.du[at.u_at(t, 1)], delta_f);
            put(args.du[at.u_at(t, 2)], delta_r);
            if (a.shape.planes == 4) put(args.du[at.u_at(t, 3)], dh * (1 - m * r));
            if (args.dx) put(args.dx[at.row(t)], a.alpha * dh * (1 - m * r));
            sum_vf += delta_f * before, sum_vr += delta_r * before, sum_bf += delta_f, sum_br += delta_r;
            carry = delta_c * f + delta_f * v_f + delta_r * v_r;
        }
        if (flags & kSruReset) carry = 0;
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
