// Compiled once per instruction set. One task walks time; the inner loop runs over contiguous columns, so that every plane is
// read in whole cache lines and the carried c stays in the first-level cache.
#include "lithe/kernels/simd/vec.h"
#include "lithe/kernels/sru/sru_block.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// The skip input's three forms and g, as template arguments.
enum class Skip { none, x, plane };

template <class S> struct Rows {
    const SruForward<S>& a;
    const SruBlock& k;
    int64_t columns, unit;  // unit: first column among all directions

    Rows(const SruForward<S>& args, const SruBlock& block)
        : a(args), k(block), columns(args.shape.columns()), unit(block.direction * args.shape.width + block.first) {}
    int64_t time(int64_t walked) const { return k.direction == 0 ? walked : a.shape.steps - 1 - walked; }
    int64_t row(int64_t t) const { return (t * a.shape.batch + k.row) * columns + unit; }
    int64_t u_row(int64_t t) const {
        return ((t * a.shape.batch + k.row) * a.shape.directions + k.direction) * a.shape.planes * a.shape.width + k.first;
    }
    uint8_t flags(int64_t t) const { return a.flags ? a.flags[t * a.shape.batch + k.row] : 0; }
};

// Applies `step` to whole vectors and then to the rest; `step` gets the column and a loader/storer pair.
struct Whole {
    template <class S> Vec<Compute<S>> get(const S* p) const { return load(p); }
    template <class S> void put(S* p, Vec<Compute<S>> v) const { store(p, v); }
};
struct Part {
    int64_t count;
    template <class S> Vec<Compute<S>> get(const S* p) const { return load_part(p, count); }
    template <class S> void put(S* p, Vec<Compute<S>> v) const { store_part(p, v, count); }
};
template <class F> inline void for_each_vector(int64_t count, const F& step) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) step(i, Whole{});
    if (i < count) step(i, Part{count - i});
}

template <bool kTanh, class V> inline V activation(V c) {
    if constexpr (kTanh) return 2 * sigmoid(2 * c) - 1;
    else return c;
}

template <class S, Skip kSkip, bool kTanh> void forward(const SruForward<S>& a, const SruBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    Rows<S> rows(a, k);
    alignas(64) C carried[kSruBlock];
    const int64_t n = k.count;
    for (int64_t i = 0; i < n; ++i) carried[i] = a.c0 ? a.c0[k.row * rows.columns + rows.unit + i] : C(0);
    const C* v_f = a.v + rows.unit;
    const C* v_r = v_f + rows.columns;
    const C* b_f = a.bias + rows.unit;
    const C* b_r = b_f + rows.columns;
    const C* mask = a.mask ? a.mask + k.row * rows.columns + rows.unit : nullptr;
    const int64_t width = a.shape.width;

    for (int64_t walked = 0; walked < a.shape.steps; ++walked) {
        const int64_t t = rows.time(walked);
        const uint8_t flags = rows.flags(t);
        S* h = a.h + rows.row(t);
        C* c_out = a.c ? a.c + rows.row(t) : nullptr;
        if (flags & kSruReset) __builtin_memset(carried, 0, sizeof carried);
        if (flags & kSruPad) {
            __builtin_memset(h, 0, size_t(n) * sizeof(S));
            if (c_out) __builtin_memcpy(c_out, carried, size_t(n) * sizeof(C));
            continue;
        }
        const S* u = a.u + rows.u_row(t);
        const S* x = kSkip == Skip::x ? a.x + rows.row(t) : nullptr;
        for_each_vector(n, [&](int64_t i, auto part) {
            V c = part.get(carried + i);
            V u0 = part.get(u + i);
            V f = sigmoid(part.get(u + width + i) + part.get(v_f + i) * c + part.get(b_f + i));
            V r = sigmoid(part.get(u + 2 * width + i) + part.get(v_r + i) * c + part.get(b_r + i));
            c = u0 + (c - u0) * f;
            if (mask) r = r * part.get(mask + i);
            V g = activation<kTanh>(c), out;
            if constexpr (kSkip == Skip::none) {
                out = g * r;
            } else {
                V skip;
                if constexpr (kSkip == Skip::plane) skip = part.get(u + 3 * width + i);
                else skip = part.get(x + i) * a.alpha;
                out = skip + (g - skip) * r;
            }
            part.put(h + i, out);
            part.put(carried + i, c);
            if (c_out) part.put(c_out + i, c);
        });
    }
    for (int64_t i = 0; i < n; ++i) a.c_last[k.row * rows.columns + rows.unit + i] = carried[i];
}

template <class S, Skip kSkip, bool kTanh> void backward(const SruBackward<S>& args, const SruBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    const SruForward<S>& a = args.forward;
    Rows<S> rows(a, k);
    alignas(64) C carry[kSruBlock], first[kSruBlock], sums[4][kSruBlock];
    const int64_t n = k.count;
    const int64_t at = k.row * rows.columns + rows.unit;
    for (int64_t i = 0; i < n; ++i) {
        carry[i] = args.dc_last ? args.dc_last[at + i] : C(0);
        first[i] = a.c0 ? a.c0[at + i] : C(0);
        for (auto& sum : sums) sum[i] = 0;
    }
    alignas(64) static const C zeros[kSruBlock] = {};
    const C* v_f = a.v + rows.unit;
    const C* v_r = v_f + rows.columns;
    const C* b_f = a.bias + rows.unit;
    const C* b_r = b_f + rows.columns;
    const C* mask = a.mask ? a.mask + at : nullptr;
    const int64_t width = a.shape.width;

    for (int64_t walked = a.shape.steps - 1; walked >= 0; --walked) {
        const int64_t t = rows.time(walked);
        const uint8_t flags = rows.flags(t);
        S* du = args.du + rows.u_row(t);
        S* dx = args.dx ? args.dx + rows.row(t) : nullptr;
        if (flags & kSruPad) {
            for (int plane = 0; plane < a.shape.planes; ++plane) __builtin_memset(du + plane * width, 0, size_t(n) * sizeof(S));
            if (dx) __builtin_memset(dx, 0, size_t(n) * sizeof(S));
            if (flags & kSruReset) __builtin_memset(carry, 0, sizeof carry);
            continue;
        }
        const C* before = flags & kSruReset ? zeros : walked == 0 ? first : a.c + rows.row(rows.time(walked - 1));
        const C* c_now = a.c + rows.row(t);
        const S* u = a.u + rows.u_row(t);
        const S* x = kSkip == Skip::x ? a.x + rows.row(t) : nullptr;
        const S* dh_row = args.dh + rows.row(t);
        for_each_vector(n, [&](int64_t i, auto part) {
            V c_before = part.get(before + i);
            V c = part.get(c_now + i);
            V u0 = part.get(u + i);
            V vf = part.get(v_f + i), vr = part.get(v_r + i);
            V f = sigmoid(part.get(u + width + i) + vf * c_before + part.get(b_f + i));
            V r = sigmoid(part.get(u + 2 * width + i) + vr * c_before + part.get(b_r + i));
            V dh = part.get(dh_row + i);
            V g = activation<kTanh>(c);
            V slope = kTanh ? 1 - g * g : 1 - V{};
            V m_r = mask ? r * part.get(mask + i) : r;
            V skip = V{};
            if constexpr (kSkip == Skip::plane) skip = part.get(u + 3 * width + i);
            if constexpr (kSkip == Skip::x) skip = part.get(x + i) * a.alpha;
            V delta_r = dh * (g - skip) * m_r * (1 - r);
            V delta_c = part.get(carry + i) + dh * m_r * slope;
            V delta_f = delta_c * (c_before - u0) * f * (1 - f);
            part.put(du + i, delta_c * (1 - f));
            part.put(du + width + i, delta_f);
            part.put(du + 2 * width + i, delta_r);
            if constexpr (kSkip == Skip::plane) part.put(du + 3 * width + i, dh * (1 - m_r));
            if constexpr (kSkip == Skip::x) part.put(dx + i, dh * (1 - m_r) * a.alpha);
            part.put(sums[0] + i, part.get(sums[0] + i) + delta_f * c_before);
            part.put(sums[1] + i, part.get(sums[1] + i) + delta_r * c_before);
            part.put(sums[2] + i, part.get(sums[2] + i) + delta_f);
            part.put(sums[3] + i, part.get(sums[3] + i) + delta_r);
            part.put(carry + i, delta_c * f + delta_f * vf + delta_r * vr);
        });
        if (flags & kSruReset) __builtin_memset(carry, 0, sizeof carry);
    }
    for (int64_t i = 0; i < n; ++i) {
        args.dc0[at + i] = carry[i];
        for (int part = 0; part < 4; ++part) args.partial[(k.row * 4 + part) * rows.columns + rows.unit + i] = sums[part][i];
    }
}

} // namespace

template <class S> void sru_forward_block(const SruForward<S>& a, const SruBlock& k) {
    if (a.shape.planes == 4) return a.shape.tanh ? forward<S, Skip::plane, true>(a, k) : forward<S, Skip::plane, false>(a, k);
    if (a.x) return a.shape.tanh ? forward<S, Skip::x, true>(a, k) : forward<S, Skip::x, false>(a, k);
    return a.shape.tanh ? forward<S, Skip::none, true>(a, k) : forward<S, Skip::none, false>(a, k);
}

template <class S> void sru_backward_block(const SruBackward<S>& args, const SruBlock& k) {
    const SruForward<S>& a = args.forward;
    if (a.shape.planes == 4) return a.shape.tanh ? backward<S, Skip::plane, true>(args, k) : backward<S, Skip::plane, false>(args, k);
    if (a.x) return a.shape.tanh ? backward<S, Skip::x, true>(args, k) : backward<S, Skip::x, false>(args, k);
    return a.shape.tanh ? backward<S, Skip::none, true>(args, k) : backward<S, Skip::none, false>(args, k);
}

template void sru_forward_block<float>(const SruForward<float>&, const SruBlock&);
template void sru_forward_block<bfloat16>(const SruForward<bfloat16>&, const SruBlock&);
template void sru_forward_block<double>(const SruForward<double>&, const SruBlock&);
template void sru_backward_block<float>(const SruBackward<float>&, const SruBlock&);
template void sru_backward_block<bfloat16>(const SruBackward<bfloat16>&, const SruBlock&);
template void sru_backward_block<double>(const SruBackward<double>&, const SruBlock&);

} // namespace lithe::kernels::LITHE_ISA
