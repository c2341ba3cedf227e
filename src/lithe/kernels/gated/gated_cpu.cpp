// Compiled once per instruction set. At every step a few rows are multiplied by all of W, packed, which streams through
// the caches once for them; the gates follow while their sums are still there.
#include "lithe/kernels/gated/gated_cells.h"
#include "lithe/kernels/gated/gated_rows.h"
#include "lithe/kernels/simd/arena.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// A tile has all the rows that registers hold, so that W is read as seldom as can be.
constexpr int kStateVectors = 3;
constexpr int kStateColumns = kStateVectors * kLanes;
constexpr int kStateRows = kLanes >= 16 ? 8 : 4;

template <class S, int kRows = kStateRows>
inline void state_tile(int64_t rows, const Element<S>* a, int64_t length, const Element<S>* b, int64_t steps,
                       Compute<S>* c, int64_t c_row) {
    if (rows == kRows)
        return product_tile<S, false, kStateVectors, kRows, kStateColumns>(a, length, kPair<S>, b, steps, c, c_row);
    if constexpr (kRows > 1) state_tile<S, kRows - 1>(rows, a, length, b, steps, c, c_row);
}

// c[rows][columns padded to panels] = A (rows `length` apart) times B.
template <class S>
inline void state_product(int64_t rows, const Element<S>* a, int64_t length, const Element<S>* b, int64_t columns,
                          Compute<S>* c, int64_t c_row) {
    const int64_t tiles = (rows + kStateRows - 1) / kStateRows, size = (rows + tiles - 1) / tiles;
    for (int64_t column = 0; column < columns; column += kStateColumns, b += length * kStateColumns)
        for (int64_t row = 0; row < rows; row += size)
            state_tile<S>(row + size < rows ? size : rows - row, a + row * length, length, b, length / kPair<S>,
                          c + row * c_row + column, c_row);
}

// Some rows' working memory. Null pointers count bytes.
template <class S> struct Walk {
    using C = Compute<S>;
    using E = Element<S>;
    int64_t width, length, gate_length;  // of operands: steps of a product are whole
    int64_t sums_row;                    // of products
    E *state, *gates;                    // operands: h, du
    C *sums, *c, *l, *c_before, *carry_h;
    int64_t bytes;

    Walk(const GatedShape& shape, int64_t rows, char* begin)
        : width(shape.width),
          length(round_up(shape.width, kPair<S>)),
          gate_length(round_up(shape.gates() * shape.width, kPair<S>)),
          sums_row(round_up(shape.gates() * shape.width, kStateColumns)) {
        const int64_t d = width;
        Arena arena(begin);
        state = arena.take<E>(rows * length);
        gates = arena.take<E>(rows * gate_length);
        sums = arena.take<C>(rows * sums_row);
        c = arena.take<C>(rows * d);
        l = arena.take<C>(rows * d);
        c_before = arena.take<C>(d);
        carry_h = arena.take<C>(rows * d);
        bytes = arena.used();
    }
};

template <class S> void clear(S* p, int64_t count) { __builtin_memset(p, 0, size_t(count) * sizeof(S)); }
template <class S> void fill(S* p, int64_t count, S value) {
    for (int64_t i = 0; i < count; ++i) p[i] = value;
}
template <class S> void copy(const S* from, S* to, int64_t count) {
    if (from) __builtin_memcpy(to, from, size_t(count) * sizeof(S));
    else clear(to, count);
}

// h_{t-1} of a row; null: zeros.
template <class S> const S* state_before(const GatedForward<S>& a, int64_t t, int64_t b, int64_t head, uint8_t flags) {
    const int64_t row = b * a.shape.heads + head;
    if (flags & kDocumentBegins) return nullptr;
    if (t > 0) return a.h + ((t - 1) * a.shape.rows() + row) * a.shape.width;
    return a.h0 ? a.h0 + row * a.shape.width : nullptr;
}

// h_{t-1} of a row as an operand; null: zeros.
template <class S> void put_operand(const S* before, const Walk<S>& m, Element<S>* state) {
    if (before) {
        convert(before, state, m.width);
        clear(state + m.width, m.length - m.width);
    } else clear(state, m.length);
}

template <class S> uint8_t flags_at(const GatedForward<S>& a, int64_t t, int64_t b) {
    return a.flags ? a.flags[t * a.shape.batch + b] : 0;
}

int64_t panels_of_head(const GatedShape& shape, bool backward) {
    return ((backward ? shape.width : shape.gates() * shape.width) + kStateColumns - 1) / kStateColumns;
}
// Numbers of the sums that a panel's columns are made of.
template <class S> int64_t panel_length(const GatedShape& shape, bool backward) {
    return round_up(backward ? shape.gates() * shape.width : shape.width, kPair<S>);
}
template <class S> Element<S>* packed(const GatedForward<S>& a, bool backward, int64_t head) {
    return reinterpret_cast<Element<S>*>(a.workspace) +
           head * panels_of_head(a.shape, backward) * kStateColumns * panel_length<S>(a.shape, backward);
}

}  // namespace

int64_t gated_panels(const GatedShape& shape, bool backward) { return shape.heads * panels_of_head(shape, backward); }

template <class S> void gated_pack(const GatedForward<S>& a, bool backward, int64_t begin, int64_t end) {
    const int64_t d = a.shape.width, gates = a.shape.gates() * d, sum = backward ? gates : d,
                  all = backward ? d : gates, of_head = panels_of_head(a.shape, backward);
    for (int64_t panel = begin; panel < end; ++panel) {
        const int64_t first = panel % of_head * kStateColumns,
                      columns = all - first < kStateColumns ? all - first : kStateColumns;
        const S* w = a.w + panel / of_head * gates * d;
        auto* to = packed(a, backward, 0) + panel * kStateColumns * panel_length<S>(a.shape, backward);
        if (backward)
            pack_sum_rows<S, kStateColumns>(
                sum, columns, [&](int64_t j) { return w + j * d + first; }, to);
        else
            pack_column_rows<S, kStateColumns>(
                sum, columns, [&](int64_t j) { return w + (first + j) * d; }, to);
    }
}

template <class S> int64_t gated_scratch(const GatedShape& shape, int64_t rows) {
    return Walk<S>(shape, rows, nullptr).bytes;
}

namespace {

// What the rows carry, [count][width], from or to [B][H][width].
template <class S, class C> void take(const GatedForward<S>& a, const GatedRows& k, const C* from, C none, C* to) {
    const int64_t d = a.shape.width;
    for (int64_t r = 0; r < k.count; ++r, to += d) {
        if (from) copy(from + ((k.first + r) * a.shape.heads + k.head) * d, to, d);
        else fill(to, d, none);
    }
}
template <class S, class C> void give(const GatedForward<S>& a, const GatedRows& k, const C* from, C* to) {
    const int64_t d = a.shape.width;
    for (int64_t r = 0; r < k.count; ++r, from += d) copy(from, to + ((k.first + r) * a.shape.heads + k.head) * d, d);
}

template <class Cell, class S> void walk_forward(const GatedForward<S>& a, const GatedRows& k, char* scratch) {
    using C = Compute<S>;
    const Walk<S> m(a.shape, k.count, scratch);
    const int64_t d = m.width;
    take(a, k, a.c0, C(0), m.c);
    if (Cell::kHasNormaliser) take(a, k, a.l0, C(kNothing), m.l);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        for (int64_t r = 0; r < k.count; ++r) {
            const uint8_t flags = flags_at(a, t, k.first + r);
            if (flags & kDocumentBegins) {
                clear(m.c + r * d, d);
                fill(m.l + r * d, d, C(kNothing));
            }
            put_operand(state_before(a, t, k.first + r, k.head, flags), m, m.state + r * m.length);
        }
        state_product<S>(k.count, m.state, m.length, packed(a, false, k.head), Cell::kGates * d, m.sums, m.sums_row);
        for (int64_t r = 0; r < k.count; ++r) {
            const int64_t b = k.first + r, at = (t * a.shape.batch + b) * a.shape.heads + k.head;
            const uint8_t flags = flags_at(a, t, b);
            S* gates = a.gates ? a.gates + at * kKeptGates * d : nullptr;
            C *c = m.c + r * d, *c_out = a.c ? a.c + at * d : nullptr;
            if (flags & kPadding) {
                copy(state_before(a, t, b, k.head, flags), a.h + at * d, d);
                if (c_out) copy<C>(c, c_out, d);
                if (gates) clear(gates, kKeptGates * d);
            } else {
                Cell::step(d, StepRow<S>{.u = a.u + at * Cell::kGates * d,
                                         .sums = m.sums + r * m.sums_row,
                                         .b = a.b + k.head * Cell::kBiases * d,
                                         .gates = gates,
                                         .c_out = c_out,
                                         .c = c,
                                         .l = m.l + r * d,
                                         .h = a.h + at * d});
            }
        }
    }
    give<S, C>(a, k, m.c, a.c_last);
    if (Cell::kHasNormaliser) give<S, C>(a, k, m.l, a.l_last);
}

// Past the product: what the step before gets.
template <class S> void carry_back(const GatedBackward<S>& args, const GatedRows& k, const Walk<S>& m, int64_t t) {
    using C = Compute<S>;
    const GatedForward<S>& a = args.forward;
    const int64_t d = m.width;
    for (int64_t r = 0; r < k.count; ++r) {
        const int64_t b = k.first + r, at = (t * a.shape.batch + b) * a.shape.heads + k.head;
        const uint8_t flags = flags_at(a, t, b);
        C* carry_h = m.carry_h + r * d;
        if (flags & kDocumentBegins) {
            clear(carry_h, d);
            clear(m.c + r * d, d);
            clear(m.l + r * d, d);
        } else if (flags & kPadding)
            for (int64_t n = 0; n < d; ++n) carry_h[n] += to_compute(args.dh[at * d + n]);
        else copy<C>(m.sums + r * m.sums_row, carry_h, d);
    }
}

template <class Cell, class S> void walk_backward(const GatedBackward<S>& args, const GatedRows& k, char* scratch) {
    using C = Compute<S>;
    const GatedForward<S>& a = args.forward;
    const Walk<S> m(a.shape, k.count, scratch);
    const int64_t d = m.width;
    take(a, k, args.dc_last, C(0), m.c);
    take(a, k, args.dl_last, C(0), m.l);
    clear(m.carry_h, k.count * d);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        for (int64_t r = 0; r < k.count; ++r) {
            const int64_t b = k.first + r, row = b * a.shape.heads + k.head, at = t * a.shape.rows() + row;
            const uint8_t flags = flags_at(a, t, b);
            S* du = args.du + at * kKeptGates * d;
            if (flags & kPadding) {
                clear(du, kKeptGates * d);
            } else {
                const C* before = t > 0 ? a.c + (at - a.shape.rows()) * d : a.c0 ? a.c0 + row * d : nullptr;
                copy(flags & kDocumentBegins ? nullptr : before, m.c_before, d);
                Cell::gradients(d, GradientRow<S>{.gates = a.gates + at * kKeptGates * d,
                                                  .dh = args.dh + at * d,
                                                  .c = a.c + at * d,
                                                  .c_before = m.c_before,
                                                  .carry_h = m.carry_h + r * d,
                                                  .carry_c = m.c + r * d,
                                                  .carry_l = m.l + r * d,
                                                  .du = du});
            }
            Element<S>* operand = m.gates + r * m.gate_length;
            Cell::template operand<S>(d, du, operand);
            clear(operand + Cell::kGates * d, m.gate_length - Cell::kGates * d);
        }
        state_product<S>(k.count, m.gates, m.gate_length, packed(a, true, k.head), d, m.sums, m.sums_row);
        carry_back(args, k, m, t);
    }
    give<S, C>(a, k, m.carry_h, args.dh0);
    give<S, C>(a, k, m.c, args.dc0);
    if (Cell::kHasNormaliser) give<S, C>(a, k, m.l, args.dl0);
}

}  // namespace

template <class S> void gated_forward_rows(const GatedForward<S>& a, const GatedRows& rows, char* scratch) {
    with_cell(a.shape.cell, [&](auto cell) { walk_forward<decltype(cell)>(a, rows, scratch); });
}

template <class S> void gated_backward_rows(const GatedBackward<S>& args, const GatedRows& rows, char* scratch) {
    with_cell(args.forward.shape.cell, [&](auto cell) { walk_backward<decltype(cell)>(args, rows, scratch); });
}

#define LITHE_INSTANTIATE(S)                                                              \
    template void gated_pack<S>(const GatedForward<S>&, bool, int64_t, int64_t);          \
    template int64_t gated_scratch<S>(const GatedShape&, int64_t);                        \
    template void gated_forward_rows<S>(const GatedForward<S>&, const GatedRows&, char*); \
    template void gated_backward_rows<S>(const GatedBackward<S>&, const GatedRows&, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
