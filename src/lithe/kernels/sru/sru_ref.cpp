#include <cmath>

#include "lithe/kernels/sru/sru.h"

namespace lithe::kernels {
namespace {

template <class C> C sigmoid(C x) { return 1 / (1 + std::exp(-x)); }

// Where one column (row b, direction, unit e) lies.
template <class S> struct Column {
    const SruForward<S>& a;
    int64_t b, direction, e;

    int64_t time(int64_t walked) const { return direction == 0 ? walked : a.shape.steps - 1 - walked; }
    int64_t unit() const { return direction * a.shape.width + e; }
    int64_t row(int64_t t) const { return (t * a.shape.batch + b) * a.shape.columns() + unit(); }
    int64_t u_at(int64_t t, int plane) const {
        return (((t * a.shape.batch + b) * a.shape.directions + direction) * a.shape.planes + plane) * a.shape.width +
               e;
    }
    Compute<S> u(int64_t t, int plane) const { return to_compute(a.u[u_at(t, plane)]); }
    uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
    Compute<S> mask() const { return a.mask ? a.mask[b * a.shape.columns() + unit()] : 1; }
    Compute<S> start() const { return a.c0 ? a.c0[b * a.shape.columns() + unit()] : 0; }
    Compute<S> skip(int64_t t) const {
        if (a.shape.planes == 4) return u(t, 3);
        return a.x ? a.alpha * to_compute(a.x[row(t)]) : 0;
    }
};

template <class S, class F> void for_each_column(const SruForward<S>& args, const F& work) {
    for (int64_t b = 0; b < args.shape.batch; ++b)
        for (int64_t direction = 0; direction < args.shape.directions; ++direction)
            for (int64_t e = 0; e < args.shape.width; ++e) work(Column<S>{args, b, direction, e});
}

}  // namespace

template <class S> void sru_forward_ref(const SruForward<S>& a) {
    using C = Compute<S>;
    const int64_t columns = a.shape.columns();
    for_each_column(a, [&](const Column<S>& at) {
        const int64_t n = at.unit();
        C c = at.start();
        for (int64_t walked = 0; walked < a.shape.steps; ++walked) {
            int64_t t = at.time(walked);
            if (at.flags(t) & kDocumentBegins) c = 0;
            C h = 0;
            if (!(at.flags(t) & kPadding)) {
                C f = sigmoid(at.u(t, 1) + a.v[n] * c + a.bias[n]);
                C r = sigmoid(at.u(t, 2) + a.v[columns + n] * c + a.bias[columns + n]);
                c = f * c + (1 - f) * at.u(t, 0);
                C skip = at.skip(t);
                C g = a.shape.tanh ? std::tanh(c) : c;
                h = skip + (g - skip) * at.mask() * r;
            }
            from_compute(h, a.h[at.row(t)]);
            if (a.c) a.c[at.row(t)] = c;
        }
        a.c_last[at.b * columns + n] = c;
    });
}

template <class S> void sru_backward_ref(const SruBackward<S>& args) {
    using C = Compute<S>;
    const SruForward<S>& a = args.forward;
    const int64_t columns = a.shape.columns();
    for (int64_t i = 0; i < 2 * columns; ++i) args.dv[i] = args.dbias[i] = 0;
    for_each_column(a, [&](const Column<S>& at) {
        const int64_t n = at.unit();
        const C v_f = a.v[n], v_r = a.v[columns + n], m = at.mask();
        C carry = args.dc_last ? args.dc_last[at.b * columns + n] : 0;
        for (int64_t walked = a.shape.steps - 1; walked >= 0; --walked) {
            int64_t t = at.time(walked);
            auto put = [&](int plane, C value) { from_compute(value, args.du[at.u_at(t, plane)]); };
            C before = walked == 0 ? at.start() : a.c[at.row(at.time(walked - 1))];
            if (at.flags(t) & kDocumentBegins) before = 0;
            if (at.flags(t) & kPadding) {
                for (int plane = 0; plane < a.shape.planes; ++plane) put(plane, 0);
                if (args.dx) from_compute(C(0), args.dx[at.row(t)]);
            } else {
                C f = sigmoid(at.u(t, 1) + v_f * before + a.bias[n]);
                C r = sigmoid(at.u(t, 2) + v_r * before + a.bias[columns + n]);
                C c = a.c[at.row(t)], skip = at.skip(t), dh = to_compute(args.dh[at.row(t)]);
                C g = a.shape.tanh ? std::tanh(c) : c;
                C slope = a.shape.tanh ? 1 - g * g : 1;
                C delta_r = dh * (g - skip) * m * r * (1 - r);
                C delta_c = carry + dh * m * r * slope;
                C delta_f = delta_c * (before - at.u(t, 0)) * f * (1 - f);
                put(0, delta_c * (1 - f));
                put(1, delta_f);
                put(2, delta_r);
                if (a.shape.planes == 4) put(3, dh * (1 - m * r));
                if (args.dx) from_compute(a.alpha * dh * (1 - m * r), args.dx[at.row(t)]);
                args.dv[n] += delta_f * before;
                args.dv[columns + n] += delta_r * before;
                args.dbias[n] += delta_f;
                args.dbias[columns + n] += delta_r;
                carry = delta_c * f + delta_f * v_f + delta_r * v_r;
            }
            if (at.flags(t) & kDocumentBegins) carry = 0;
        }
        args.dc0[at.b * columns + n] = carry;
    });
}

template <class S> double sru_forward_bytes(const SruShape& shape, bool keep_c) {
    double elements = double(shape.steps) * double(shape.batch) * double(shape.columns());
    return elements * double((shape.planes + 1 + (shape.planes == 3 ? 1 : 0)) * int(sizeof(S)) +
                             (keep_c ? int(sizeof(Compute<S>)) : 0));
}

template <class S> double sru_backward_bytes(const SruShape& shape) {
    double elements = double(shape.steps) * double(shape.batch) * double(shape.columns());
    int skip = shape.planes == 3 ? 2 : 0;  // read x, write dx
    return elements * double((2 * shape.planes + 1 + skip) * int(sizeof(S)) + int(sizeof(Compute<S>)));
}

#define LITHE_INSTANTIATE(S)                                     \
    template void sru_forward_ref<S>(const SruForward<S>&);      \
    template void sru_backward_ref<S>(const SruBackward<S>&);    \
    template double sru_forward_bytes<S>(const SruShape&, bool); \
    template double sru_backward_bytes<S>(const SruShape&);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels
