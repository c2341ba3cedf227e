// Compiled once per instruction set. One task walks time; the inner loops run over rows and columns that are contiguous
// in memory at each step, and the carried c stays in the first-level cache.
#include "lithe/kernels/recurrence/recurrence_block.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class V> inline V exponential(V x) { return exp(x); }
template <class V> inline V root(V x) { return square_root(x); }
template <class V> inline V smaller(V a, V b) { return min(a, b); }
// Where 1 - e would be rounding alone, by its series.
inline VecF one_minus_exp(VecF x, VecF e) {
    const VecF series = -x * (1 + x * (0.5f + x * (1.0f / 6 + x * (1.0f / 24 + x * (1.0f / 120 + x * (1.0f / 720))))));
    return x > -0.25f ? series : 1 - e;
}
inline VecD one_minus_exp(VecD x, VecD) {
    VecD result;
    for (int i = 0; i < kLanes; ++i) result[i] = -__builtin_expm1(x[i]);
    return result;
}

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA

#define LITHE_CELL inline __attribute__((always_inline))
#include "lithe/kernels/recurrence/cells.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class S> struct Rows {
    const RecurrenceForward<S>& a;
    const RecurrenceBlock& k;
    int64_t columns, unit, planes;  // unit: first column among all directions; planes: numbers of u at a step and row

    Rows(const RecurrenceForward<S>& args, const RecurrenceBlock& block, int64_t cell_planes)
        : a(args),
          k(block),
          columns(args.shape.columns()),
          unit(block.direction * args.shape.width + block.first),
          planes(args.shape.directions * cell_planes * args.shape.width) {}
    int64_t time(int64_t walked) const { return k.direction == 0 ? walked : a.shape.steps - 1 - walked; }
    int64_t state(int64_t b) const { return b * columns + unit; }
    int64_t row(int64_t t, int64_t b) const { return (t * a.shape.batch + b) * columns + unit; }
    int64_t u_row(int64_t t, int64_t b) const {
        return (t * a.shape.batch + b) * planes + k.direction * (planes / a.shape.directions) + k.first;
    }
    // Distance in rows from (walked, row) to the pair that the task visits next; 0 at the end.
    int64_t next(int64_t walked, int64_t row, int64_t forward) const {
        if (row + 1 < k.rows) return 1;
        if (walked + forward < 0 || walked + forward >= a.shape.steps) return 0;
        return (time(walked + forward) - time(walked)) * a.shape.batch - row;
    }
    uint8_t flags(int64_t t, int64_t b) const { return a.flags ? a.flags[t * a.shape.batch + b] : 0; }
    bool begins(int64_t walked, uint8_t flag) const {
        return a.shape.whole_start && ((flag & kDocumentBegins) || (walked == 0 && !a.c0));
    }
};

// What a cell reads of one vector of columns.
template <class S, class P> struct Input {
    using C = Compute<S>;
    using V = Vec<C>;
    const S* u_row;
    const S* x_row;
    const C* const* weights;
    const C* mask;
    int64_t width, i;
    const V& scale;
    bool begins_here;
    P part;
    V u(int plane) const { return part.get(u_row + plane * width + i); }
    V x() const { return part.get(x_row + i); }
    V w(int number) const { return part.get(weights[number] + i); }
    V masked(V v) const { return mask ? v * part.get(mask + i) : v; }
    V alpha() const { return scale; }
    bool begins() const { return begins_here; }
};

template <class S, class P> struct Output {
    using C = Compute<S>;
    using V = Vec<C>;
    S* du_row;
    S* dx_row;
    C* sums;  // [weights][kRecurrenceBlock]
    int64_t width, i;
    P part;
    void du(int plane, V v) const { part.put(du_row + plane * width + i, v); }
    void dx(V v) const { part.put(dx_row + i, v); }
    void dw(int number, V v) const {
        C* to = sums + number * kRecurrenceBlock + i;
        part.put(to, part.get(to) + v);
    }
};

// Fetches ahead what the next row will read or write: a task's rows lie too far apart for the hardware to guess.
template <class S> inline void fetch(const S* p) { __builtin_prefetch(p); }
template <class S> inline void fetch_for_writing(S* p) { __builtin_prefetch(p, 1); }

template <class S, class Cell> void forward(const RecurrenceForward<S>& a, const RecurrenceBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    Rows<S> rows(a, k, Cell::kPlanes);
    alignas(64) C carried[kRecurrenceRows][kRecurrenceBlock];
    const int64_t n = k.count, width = a.shape.width;
    for (int64_t r = 0; r < k.rows; ++r)
        for (int64_t i = 0; i < n; ++i) carried[r][i] = a.c0 ? a.c0[rows.state(k.row + r) + i] : C(0);
    const C* weights[kMostWeights] = {};
    for (int number = 0; number < Cell::kWeights; ++number) weights[number] = a.w[number] + rows.unit;
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
            const S* x = Cell::kReadsX ? a.x + rows.row(t, b) : nullptr;
            const C* mask = a.mask ? a.mask + rows.state(b) : nullptr;
            const bool begins = rows.begins(walked, flags);
            const int64_t ahead = rows.next(walked, row, 1), u_ahead = ahead * rows.planes,
                          x_ahead = ahead * rows.columns;
            for_each_vector(n, [&](int64_t i, auto part) {
                for (int plane = 0; plane < Cell::kPlanes; ++plane) fetch(u + plane * width + i + u_ahead);
                if constexpr (Cell::kReadsX) fetch(x + i + x_ahead);
                fetch_for_writing(h + i + x_ahead);
                if (c_out) fetch_for_writing(c_out + i + x_ahead);
                const Input<S, decltype(part)> in{u, x, weights, mask, width, i, alpha, begins, part};
                const Step<V> next = Cell::template step<V>(in, part.get(c_now + i));
                part.put(h + i, next.h);
                part.put(c_now + i, next.c);
                if (c_out) part.put(c_out + i, next.c);
            });
        }
    }
    for (int64_t r = 0; r < k.rows; ++r)
        for (int64_t i = 0; i < n; ++i) a.c_last[rows.state(k.row + r) + i] = carried[r][i];
}

// What a task of the backward pass carries.
template <class S> struct Carried {
    using C = Compute<S>;
    alignas(64) C dc[kRecurrenceRows][kRecurrenceBlock], first[kRecurrenceRows][kRecurrenceBlock],
        sums[kMostWeights][kRecurrenceBlock];

    Carried(const RecurrenceBackward<S>& args, const Rows<S>& rows) {
        __builtin_memset(sums, 0, sizeof sums);
        for (int64_t r = 0; r < rows.k.rows; ++r)
            for (int64_t i = 0; i < rows.k.count; ++i) {
                const int64_t at = rows.state(rows.k.row + r) + i;
                dc[r][i] = args.dc_last ? args.dc_last[at] : C(0);
                first[r][i] = args.forward.c0 ? args.forward.c0[at] : C(0);
            }
    }
    void give(const RecurrenceBackward<S>& args, const Rows<S>& rows, int weights) const {
        for (int64_t r = 0; r < rows.k.rows; ++r)
            for (int64_t i = 0; i < rows.k.count; ++i) args.dc0[rows.state(rows.k.row + r) + i] = dc[r][i];
        for (int number = 0; number < weights; ++number)
            for (int64_t i = 0; i < rows.k.count; ++i)
                args.partial[(rows.k.row / kRecurrenceRows * weights + number) * rows.columns + rows.unit + i] =
                    sums[number][i];
    }
};

template <class S, class Cell> void backward(const RecurrenceBackward<S>& args, const RecurrenceBlock& k) {
    using C = Compute<S>;
    using V = Vec<C>;
    const RecurrenceForward<S>& a = args.forward;
    Rows<S> rows(a, k, Cell::kPlanes);
    Carried<S> carried(args, rows);
    alignas(64) static const C zeros[kRecurrenceBlock] = {};
    const int64_t n = k.count, width = a.shape.width;
    const C* weights[kMostWeights] = {};
    for (int number = 0; number < Cell::kWeights; ++number) weights[number] = a.w[number] + rows.unit;
    const V alpha = broadcast(a.alpha);

    for (int64_t walked = a.shape.steps - 1; walked >= 0; --walked) {
        const int64_t t = rows.time(walked);
        for (int64_t row = 0; row < k.rows; ++row) {
            const int64_t b = k.row + row;
            const uint8_t flags = rows.flags(t, b);
            C* dc = carried.dc[row];
            S* du = args.du + rows.u_row(t, b);
            S* dx = Cell::kReadsX ? args.dx + rows.row(t, b) : nullptr;
            if (flags & kPadding) {
                for (int plane = 0; plane < Cell::kPlanes; ++plane)
                    __builtin_memset(du + plane * width, 0, size_t(n) * sizeof(S));
                if (dx) __builtin_memset(dx, 0, size_t(n) * sizeof(S));
                if (flags & kDocumentBegins) __builtin_memset(dc, 0, sizeof carried.dc[row]);
                continue;
            }
            const C* before = flags & kDocumentBegins ? zeros
                              : walked == 0           ? carried.first[row]
                                                      : a.c + rows.row(rows.time(walked - 1), b);
            const C* c_now = a.c + rows.row(t, b);
            const S* u = a.u + rows.u_row(t, b);
            const S* x = Cell::kReadsX ? a.x + rows.row(t, b) : nullptr;
            const S* dh = args.dh + rows.row(t, b);
            const C* mask = a.mask ? a.mask + rows.state(b) : nullptr;
            const bool begins = rows.begins(walked, flags);
            const int64_t ahead = rows.next(walked, row, -1), u_ahead = ahead * rows.planes,
                          x_ahead = ahead * rows.columns;
            for_each_vector(n, [&](int64_t i, auto part) {
                for (int plane = 0; plane < Cell::kPlanes; ++plane) {
                    fetch(u + plane * width + i + u_ahead);
                    fetch_for_writing(du + plane * width + i + u_ahead);
                }
                if constexpr (Cell::kReadsX) {
                    fetch(x + i + x_ahead);
                    fetch_for_writing(dx + i + x_ahead);
                }
                fetch(dh + i + x_ahead);
                fetch(before + i + x_ahead);
                const Input<S, decltype(part)> in{u, x, weights, mask, width, i, alpha, begins, part};
                const Output<S, decltype(part)> out{du, dx, carried.sums[0], width, i, part};
                const V earlier = Cell::template back<V>(in, out, part.get(before + i), part.get(c_now + i),
                                                         part.get(dc + i), part.get(dh + i));
                part.put(dc + i, earlier);
            });
            if (flags & kDocumentBegins) __builtin_memset(dc, 0, sizeof carried.dc[row]);
        }
    }
    carried.give(args, rows, Cell::kWeights);
}

}  // namespace

template <class S> void recurrence_forward_block(const RecurrenceForward<S>& args, const RecurrenceBlock& block) {
    with_cell(args.shape.cell, [&](auto cell) { forward<S, decltype(cell)>(args, block); });
}

template <class S> void recurrence_backward_block(const RecurrenceBackward<S>& args, const RecurrenceBlock& block) {
    with_cell(args.forward.shape.cell, [&](auto cell) { backward<S, decltype(cell)>(args, block); });
}

template void recurrence_forward_block<float>(const RecurrenceForward<float>&, const RecurrenceBlock&);
template void recurrence_forward_block<bfloat16>(const RecurrenceForward<bfloat16>&, const RecurrenceBlock&);
template void recurrence_forward_block<double>(const RecurrenceForward<double>&, const RecurrenceBlock&);
template void recurrence_backward_block<float>(const RecurrenceBackward<float>&, const RecurrenceBlock&);
template void recurrence_backward_block<bfloat16>(const RecurrenceBackward<bfloat16>&, const RecurrenceBlock&);
template void recurrence_backward_block<double>(const RecurrenceBackward<double>&, const RecurrenceBlock&);

}  // namespace lithe::kernels::LITHE_ISA
