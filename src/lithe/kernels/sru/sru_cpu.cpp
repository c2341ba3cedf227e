// Compiled once per instruction set. One task walks time; the inner loops run over rows and columns that are contiguous
// in memory at each step, and the carried c stays in the first-level cache.
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
        : a(args),
          k(block),
          columns(args.shape.columns()),
          unit(block.direction * args.shape.width + block.first) {}
    int64_t time(int64_t walked) const { return k.direction == 0 ? walked : a.shape.steps - 1 - walked; }
    int64_t state(int64_t b) const { return b * columns + unit; }
    int64_t row(int64_t t, int64_t b) const { return (t * a.shape.batch + b) * columns + unit; }
    int64_t u_row(int64_t t, int64_t b) const {
        return ((t * a.shape.batch + b) * a.shape.directions + k.direction) * a.shape.planes * a.shape.width + k.first;
    }
    // Distance in rows from (walked, row) to the pair that the task visits next; 0 at the end.
    int64_t next(int64_t walked, int64_t row, int64_t forward) const {
        if (row + 1 < k.rows) return 1;
        if (walked + forward < 0 || walked + forward >= a.shape.steps) return 0;
        return (time(walked + forward) - time(walked)) * a.shape.batch - row;
    }
    uint8_t flags(int64_t t, int64_t b) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
};

// Fetches ahead what the next row will read or write: a task's rows lie too far apart for the hardware to guess.
template <class S> inline void fetch(const S* p) { __builtin_prefetch(p); }
template <class S> inline void fetch_for_writing(S* p) { __builtin_prefetch(p, 1); }

template <bool kTanh, class V> inline V activation(V c) {
    if constexpr (kTanh) return tanh(c);
    else return c;
}

template <class S, Skip kSkip, bool kTanh> void forward(const SruForward<S>& a, const SruBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    Rows<S> rows(a, k);
    alignas(64) C carried[kSruRows][kSruBlock];
    const int64_t n = k.count, width = a.shape.width;
    for (int64_t r = 0; r < k.rows; ++r)
        for (int64_t i = 0; i < n; ++i) carried[r][i] = a.c0 ? a.c0[rows.state(k.row + r) + i] : C(0);
    const C* v_f = a.v + rows.unit;
    const C* v_r = v_f + rows.columns;
    const C* b_f = a.bias + rows.unit;
    const C* b_r = b_f + rows.columns;
    const V alpha = broadcast(a.alpha);

    for (int64_t walked = 0; walked < a.shape.steps; ++walked) {
        const int64_t t = rows.time(walked);
        for (int64_t row = 0; row < k.rows; ++row) {
            const int64_t b = k.row + row;
            const uint8_t flags = rows.flags(t, b);
            C* c_now = carried[row];
            S* h = a.h + rows.row(t, b);
            C* c_out = a.c ? a.c + rows.row(t, b) : nullptr;
            if (flags & kDocumentBegins) __builtin_memset(c_now, 0, sizeof carried[row]);
            if (flags & kPadding) {
                __builtin_memset(h, 0, size_t(n) * sizeof(S));
                if (c_out) __builtin_memcpy(c_out, c_now, size_t(n) * sizeof(C));
                continue;
            }
            const S* u = a.u + rows.u_row(t, b);
            const S* x = kSkip == Skip::x ? a.x + rows.row(t, b) : nullptr;
            const C* mask = a.mask ? a.mask + rows.state(b) : nullptr;
            const int64_t ahead = rows.next(walked, row, 1),
                          u_ahead = ahead * a.shape.directions * a.shape.planes * width, x_ahead = ahead * rows.columns;
            for_each_vector(n, [&](int64_t i, auto part) {
                for (int plane = 0; plane < 3; ++plane) fetch(u + plane * width + i + u_ahead);
                if constexpr (kSkip == Skip::x) fetch(x + i + x_ahead);
                fetch_for_writing(h + i + x_ahead);
                if (c_out) fetch_for_writing(c_out + i + x_ahead);
                V c = part.get(c_now + i);
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
                    else skip = part.get(x + i) * alpha;
                    out = skip + (g - skip) * r;
                }
                part.put(h + i, out);
                part.put(c_now + i, c);
                if (c_out) part.put(c_out + i, c);
            });
        }
    }
    for (int64_t r = 0; r < k.rows; ++r)
        for (int64_t i = 0; i < n; ++i) a.c_last[rows.state(k.row + r) + i] = carried[r][i];
}

template <class S, Skip kSkip, bool kTanh> void backward(const SruBackward<S>& args, const SruBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    const SruForward<S>& a = args.forward;
    Rows<S> rows(a, k);
    alignas(64) C carry[kSruRows][kSruBlock], first[kSruRows][kSruBlock], sums[4][kSruBlock];
    alignas(64) static const C zeros[kSruBlock] = {};
    const int64_t n = k.count, width = a.shape.width;
    __builtin_memset(sums, 0, sizeof sums);
    for (int64_t r = 0; r < k.rows; ++r) {
        for (int64_t i = 0; i < n; ++i) {
            const int64_t at = rows.state(k.row + r) + i;
            carry[r][i] = args.dc_last ? args.dc_last[at] : C(0);
            first[r][i] = a.c0 ? a.c0[at] : C(0);
        }
    }
    const C* v_f = a.v + rows.unit;
    const C* v_r = v_f + rows.columns;
    const C* b_f = a.bias + rows.unit;
    const C* b_r = b_f + rows.columns;
    const V alpha = broadcast(a.alpha);

    for (int64_t walked = a.shape.steps - 1; walked >= 0; --walked) {
        const int64_t t = rows.time(walked);
        for (int64_t row = 0; row < k.rows; ++row) {
            const int64_t b = k.row + row;
            const uint8_t flags = rows.flags(t, b);
            C* carried = carry[row];
            S* du = args.du + rows.u_row(t, b);
            S* dx = args.dx ? args.dx + rows.row(t, b) : nullptr;
            if (flags & kPadding) {
                for (int plane = 0; plane < a.shape.planes; ++plane)
                    __builtin_memset(du + plane * width, 0, size_t(n) * sizeof(S));
                if (dx) __builtin_memset(dx, 0, size_t(n) * sizeof(S));
                if (flags & kDocumentBegins) __builtin_memset(carried, 0, sizeof carry[row]);
                continue;
            }
            const C* before = flags & kDocumentBegins ? zeros
                              : walked == 0           ? first[row]
                                                      : a.c + rows.row(rows.time(walked - 1), b);
            const C* c_now = a.c + rows.row(t, b);
            const S* u = a.u + rows.u_row(t, b);
            const S* x = kSkip == Skip::x ? a.x + rows.row(t, b) : nullptr;
            const S* dh_row = args.dh + rows.row(t, b);
            const C* mask = a.mask ? a.mask + rows.state(b) : nullptr;
            const int64_t ahead = rows.next(walked, row, -1),
                          u_ahead = ahead * a.shape.directions * a.shape.planes * width, x_ahead = ahead * rows.columns;
            for_each_vector(n, [&](int64_t i, auto part) {
                for (int plane = 0; plane < 3; ++plane)
                    fetch(u + plane * width + i + u_ahead), fetch_for_writing(du + plane * width + i + u_ahead);
                if constexpr (kSkip == Skip::x) fetch(x + i + x_ahead), fetch_for_writing(dx + i + x_ahead);
                fetch(dh_row + i + x_ahead);
                fetch(before + i + x_ahead);
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
                if constexpr (kSkip == Skip::x) skip = part.get(x + i) * alpha;
                V delta_r = dh * (g - skip) * m_r * (1 - r);
                V delta_c = part.get(carried + i) + dh * m_r * slope;
                V delta_f = delta_c * (c_before - u0) * f * (1 - f);
                part.put(du + i, delta_c * (1 - f));
                part.put(du + width + i, delta_f);
                part.put(du + 2 * width + i, delta_r);
                if constexpr (kSkip == Skip::plane) part.put(du + 3 * width + i, dh * (1 - m_r));
                if constexpr (kSkip == Skip::x) part.put(dx + i, dh * (1 - m_r) * alpha);
                part.put(sums[0] + i, part.get(sums[0] + i) + delta_f * c_before);
                part.put(sums[1] + i, part.get(sums[1] + i) + delta_r * c_before);
                part.put(sums[2] + i, part.get(sums[2] + i) + delta_f);
                part.put(sums[3] + i, part.get(sums[3] + i) + delta_r);
                part.put(carried + i, delta_c * f + delta_f * vf + delta_r * vr);
            });
            if (flags & kDocumentBegins) __builtin_memset(carried, 0, sizeof carry[row]);
        }
    }
    for (int64_t r = 0; r < k.rows; ++r)
        for (int64_t i = 0; i < n; ++i) args.dc0[rows.state(k.row + r) + i] = carry[r][i];
    for (int part = 0; part < 4; ++part)
        for (int64_t i = 0; i < n; ++i)
            args.partial[(k.row / kSruRows * 4 + part) * rows.columns + rows.unit + i] = sums[part][i];
}

}  // namespace

template <class S> void sru_forward_block(const SruForward<S>& a, const SruBlock& k) {
    if (a.shape.planes == 4)
        return a.shape.tanh ? forward<S, Skip::plane, true>(a, k) : forward<S, Skip::plane, false>(a, k);
    if (a.x) return a.shape.tanh ? forward<S, Skip::x, true>(a, k) : forward<S, Skip::x, false>(a, k);
    return a.shape.tanh ? forward<S, Skip::none, true>(a, k) : forward<S, Skip::none, false>(a, k);
}

template <class S> void sru_backward_block(const SruBackward<S>& args, const SruBlock& k) {
    const SruForward<S>& a = args.forward;
    if (a.shape.planes == 4)
        return a.shape.tanh ? backward<S, Skip::plane, true>(args, k) : backward<S, Skip::plane, false>(args, k);
    if (a.x) return a.shape.tanh ? backward<S, Skip::x, true>(args, k) : backward<S, Skip::x, false>(args, k);
    return a.shape.tanh ? backward<S, Skip::none, true>(args, k) : backward<S, Skip::none, false>(args, k);
}

template void sru_forward_block<float>(const SruForward<float>&, const SruBlock&);
template void sru_forward_block<bfloat16>(const SruForward<bfloat16>&, const SruBlock&);
template void sru_forward_block<double>(const SruForward<double>&, const SruBlock&);
template void sru_backward_block<float>(const SruBackward<float>&, const SruBlock&);
template void sru_backward_block<bfloat16>(const SruBackward<bfloat16>&, const SruBlock&);
template void sru_backward_block<double>(const SruBackward<double>&, const SruBlock&);

}  // namespace lithe::kernels::LITHE_ISA
