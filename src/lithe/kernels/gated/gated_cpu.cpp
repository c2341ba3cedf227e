// Compiled once per instruction set. At every step a few rows are multiplied by all of W, packed, which streams through
// the caches once for them; the gates follow while their sums are still there.
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
    C *sums, *c, *c_before, *carry_h;
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
        c_before = arena.take<C>(d);
        carry_h = arena.take<C>(rows * d);
        bytes = arena.used();
    }
};

template <class S> void clear(S* p, int64_t count) { __builtin_memset(p, 0, size_t(count) * sizeof(S)); }
template <class S> void copy(const S* from, S* to, int64_t count) {
    if (from) __builtin_memcpy(to, from, size_t(count) * sizeof(S));
    else clear(to, count);
}

// h_{t-1} of a row; null: zeros.
template <class S> const S* state_before(const GatedForward<S>& a, int64_t t, int64_t b, uint8_t flags) {
    if (flags & kDocumentBegins) return nullptr;
    if (t > 0) return a.h + ((t - 1) * a.shape.batch + b) * a.shape.width;
    return a.h0 ? a.h0 + b * a.shape.width : nullptr;
}

// h_{t-1} of a row as an operand, and c_{t-1}.
template <class S>
void begin_step(const GatedForward<S>& a, const Walk<S>& m, int64_t t, int64_t b, uint8_t flags, Element<S>* state,
                Compute<S>* c) {
    const int64_t d = m.width;
    if (flags & kDocumentBegins) clear(c, d);
    const S* before = state_before(a, t, b, flags);
    if (before) {
        convert(before, state, d);
        clear(state + d, m.length - d);
    } else clear(state, m.length);
}

// What a row of a step is made of and made to.
template <class S> struct StepRow {
    using C = Compute<S>;
    const S* u = nullptr;     // forward
    const C* sums = nullptr;  // W h
    const C* b = nullptr;
    S* gates = nullptr;
    C *c_out = nullptr, *c = nullptr;  // c of before and then of now
    S* h = nullptr;
};
template <class S> struct GradientRow {
    using C = Compute<S>;
    const S *gates = nullptr, *dh = nullptr;
    const C *c = nullptr, *c_before = nullptr, *carry_h = nullptr;
    C* carry_c = nullptr;  // dc of now and then of before
    S* du = nullptr;
};

struct LstmCell {
    static constexpr int64_t kGates = 4;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            auto plane = [&](int64_t p) { return part.get(row.u + p * d + n) + part.get(row.sums + p * d + n); };
            const V i = sigmoid(plane(0)), f = sigmoid(plane(1)), g = tanh(plane(2)), o = sigmoid(plane(3));
            const V now = f * part.get(row.c + n) + i * g;
            if (row.gates) {
                part.put(row.gates + n, i);
                part.put(row.gates + d + n, f);
                part.put(row.gates + 2 * d + n, g);
                part.put(row.gates + 3 * d + n, o);
            }
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, o * tanh(now));
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V i = part.get(row.gates + n), f = part.get(row.gates + d + n), g = part.get(row.gates + 2 * d + n),
                    o = part.get(row.gates + 3 * d + n), y = tanh(part.get(row.c + n));
            const V delta_h = part.get(row.dh + n) + part.get(row.carry_h + n);
            const V delta_c = part.get(row.carry_c + n) + delta_h * o * (1 - y * y);
            part.put(row.du + n, delta_c * g * i * (1 - i));
            part.put(row.du + d + n, delta_c * part.get(row.c_before + n) * f * (1 - f));
            part.put(row.du + 2 * d + n, delta_c * i * (1 - g * g));
            part.put(row.du + 3 * d + n, delta_h * y * o * (1 - o));
            part.put(row.carry_c + n, delta_c * f);
        });
    }
    // The gradient of W h, from du.
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) { convert(du, to, 4 * d); }
};

// Its c is h before it was rounded to storage.
struct GruCell {
    static constexpr int64_t kGates = 3;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            auto plane = [&](int64_t p) { return part.get(row.u + p * d + n) + part.get(row.sums + p * d + n); };
            const V r = sigmoid(plane(0)), z = sigmoid(plane(1));
            const V q = part.get(row.sums + 2 * d + n) + part.get(row.b + n);
            const V fresh = tanh(part.get(row.u + 2 * d + n) + r * q);
            const V now = fresh + z * (part.get(row.c + n) - fresh);
            if (row.gates) {
                part.put(row.gates + n, r);
                part.put(row.gates + d + n, z);
                part.put(row.gates + 2 * d + n, fresh);
                part.put(row.gates + 3 * d + n, q);
            }
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, now);
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V r = part.get(row.gates + n), z = part.get(row.gates + d + n),
                    fresh = part.get(row.gates + 2 * d + n), q = part.get(row.gates + 3 * d + n);
            const V delta = part.get(row.dh + n) + part.get(row.carry_h + n) + part.get(row.carry_c + n);
            const V delta_n = delta * (1 - z) * (1 - fresh * fresh);
            part.put(row.du + n, delta_n * q * r * (1 - r));
            part.put(row.du + d + n, delta * (part.get(row.c_before + n) - fresh) * z * (1 - z));
            part.put(row.du + 2 * d + n, delta_n);
            part.put(row.du + 3 * d + n, delta_n * r);
            part.put(row.carry_c + n, delta * z);
        });
    }
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) {
        convert(du, to, 2 * d);
        convert(du + 3 * d, to + 2 * d, d);
    }
};

// Its c is h before it was rounded to storage.
struct AtrCell {
    static constexpr int64_t kGates = 1;

    template <class S> static void step(int64_t d, const StepRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V p = part.get(row.u + n), q = part.get(row.sums + n) + part.get(row.b + n);
            const V i = sigmoid(p + q), f = sigmoid(p - q), now = tanh(i * p + f * part.get(row.c + n));
            if (row.gates) {
                part.put(row.gates + n, i);
                part.put(row.gates + d + n, f);
                part.put(row.gates + 2 * d + n, p);
                part.put(row.gates + 3 * d + n, q);
            }
            part.put(row.c + n, now);
            if (row.c_out) part.put(row.c_out + n, now);
            part.put(row.h + n, now);
        });
    }
    template <class S> static void gradients(int64_t d, const GradientRow<S>& row) {
        using V = Vec<Compute<S>>;
        for_each_vector(d, [&](int64_t n, auto part) {
            const V i = part.get(row.gates + n), f = part.get(row.gates + d + n), p = part.get(row.gates + 2 * d + n),
                    c = part.get(row.c + n);
            const V sum = part.get(row.dh + n) + part.get(row.carry_h + n) + part.get(row.carry_c + n);
            const V delta = sum * (1 - c * c), delta_i = delta * p * i * (1 - i),
                    delta_f = delta * part.get(row.c_before + n) * f * (1 - f);
            part.put(row.du + n, delta * i + delta_i + delta_f);
            part.put(row.du + d + n, V{});
            part.put(row.du + 2 * d + n, V{});
            part.put(row.du + 3 * d + n, delta_i - delta_f);
            part.put(row.carry_c + n, delta * f);
        });
    }
    template <class S> static void operand(int64_t d, const S* du, Element<S>* to) { convert(du + 3 * d, to, d); }
};

template <class F> void with_cell(GatedCell cell, const F& f) {
    switch (cell) {
        case GatedCell::lstm: return f(LstmCell());
        case GatedCell::gru: return f(GruCell());
        case GatedCell::atr: return f(AtrCell());
    }
}

template <class S> uint8_t flags_at(const GatedForward<S>& a, int64_t t, int64_t b) {
    return a.flags ? a.flags[t * a.shape.batch + b] : 0;
}
template <class S> const Element<S>* packed(const GatedForward<S>& a) {
    return reinterpret_cast<const Element<S>*>(a.workspace);
}

}  // namespace

int64_t gated_panels(const GatedShape& shape, bool backward) {
    return ((backward ? shape.width : shape.gates() * shape.width) + kStateColumns - 1) / kStateColumns;
}

template <class S> void gated_pack(const GatedForward<S>& a, bool backward, int64_t begin, int64_t end) {
    const int64_t d = a.shape.width, gates = a.shape.gates() * d, sum = backward ? gates : d,
                  all = backward ? d : gates;
    for (int64_t panel = begin; panel < end; ++panel) {
        const int64_t first = panel * kStateColumns,
                      columns = all - first < kStateColumns ? all - first : kStateColumns;
        auto* to = reinterpret_cast<Element<S>*>(a.workspace) + panel * kStateColumns * round_up(sum, kPair<S>);
        if (backward)
            pack_sum_rows<S, kStateColumns>(
                sum, columns, [&](int64_t j) { return a.w + j * d + first; }, to);
        else
            pack_column_rows<S, kStateColumns>(
                sum, columns, [&](int64_t j) { return a.w + (first + j) * d; }, to);
    }
}

template <class S> int64_t gated_scratch(const GatedShape& shape, int64_t rows) {
    return Walk<S>(shape, rows, nullptr).bytes;
}

namespace {

template <class Cell, class S> void walk_forward(const GatedForward<S>& a, int64_t first, int64_t rows, char* scratch) {
    const Walk<S> m(a.shape, rows, scratch);
    const int64_t d = m.width;
    copy(a.c0 ? a.c0 + first * d : nullptr, m.c, rows * d);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        for (int64_t r = 0; r < rows; ++r)
            begin_step(a, m, t, first + r, flags_at(a, t, first + r), m.state + r * m.length, m.c + r * d);
        state_product<S>(rows, m.state, m.length, packed(a), Cell::kGates * d, m.sums, m.sums_row);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t b = first + r, at = t * a.shape.batch + b;
            const uint8_t flags = flags_at(a, t, b);
            S* gates = a.gates ? a.gates + at * kKeptGates * d : nullptr;
            Compute<S>*c = m.c + r * d, *c_out = a.c ? a.c + at * d : nullptr;
            if (flags & kPadding) {
                copy(state_before(a, t, b, flags), a.h + at * d, d);
                if (c_out) copy<Compute<S>>(c, c_out, d);
                if (gates) clear(gates, kKeptGates * d);
            } else {
                Cell::step(d, StepRow<S>{.u = a.u + at * Cell::kGates * d,
                                         .sums = m.sums + r * m.sums_row,
                                         .b = a.b,
                                         .gates = gates,
                                         .c_out = c_out,
                                         .c = c,
                                         .h = a.h + at * d});
            }
        }
    }
    copy<Compute<S>>(m.c, a.c_last + first * d, rows * d);
}

template <class Cell, class S>
void walk_backward(const GatedBackward<S>& args, int64_t first, int64_t rows, char* scratch) {
    using C = Compute<S>;
    const GatedForward<S>& a = args.forward;
    const Walk<S> m(a.shape, rows, scratch);
    const int64_t d = m.width;
    C* carry_c = m.c;
    copy(args.dc_last ? args.dc_last + first * d : nullptr, carry_c, rows * d);
    clear(m.carry_h, rows * d);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t b = first + r, at = t * a.shape.batch + b;
            const uint8_t flags = flags_at(a, t, b);
            S* du = args.du + at * kKeptGates * d;
            if (flags & kPadding) {
                clear(du, kKeptGates * d);
            } else {
                const C* before = t > 0 ? a.c + (at - a.shape.batch) * d : a.c0 ? a.c0 + b * d : nullptr;
                copy(flags & kDocumentBegins ? nullptr : before, m.c_before, d);
                Cell::gradients(d, GradientRow<S>{.gates = a.gates + at * kKeptGates * d,
                                                  .dh = args.dh + at * d,
                                                  .c = a.c + at * d,
                                                  .c_before = m.c_before,
                                                  .carry_h = m.carry_h + r * d,
                                                  .carry_c = carry_c + r * d,
                                                  .du = du});
            }
            Element<S>* operand = m.gates + r * m.gate_length;
            Cell::template operand<S>(d, du, operand);
            clear(operand + Cell::kGates * d, m.gate_length - Cell::kGates * d);
        }
        state_product<S>(rows, m.gates, m.gate_length, packed(a), d, m.sums, m.sums_row);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t b = first + r, at = t * a.shape.batch + b;
            const uint8_t flags = flags_at(a, t, b);
            C* carry_h = m.carry_h + r * d;
            if (flags & kDocumentBegins) {
                clear(carry_h, d);
                clear(carry_c + r * d, d);
            } else if (flags & kPadding)
                for (int64_t n = 0; n < d; ++n) carry_h[n] += to_compute(args.dh[at * d + n]);
            else copy<C>(m.sums + r * m.sums_row, carry_h, d);
        }
    }
    copy<C>(m.carry_h, args.dh0 + first * d, rows * d);
    copy<C>(carry_c, args.dc0 + first * d, rows * d);
}

}  // namespace

template <class S> void gated_forward_rows(const GatedForward<S>& a, int64_t first, int64_t rows, char* scratch) {
    with_cell(a.shape.cell, [&](auto cell) { walk_forward<decltype(cell)>(a, first, rows, scratch); });
}

template <class S> void gated_backward_rows(const GatedBackward<S>& args, int64_t first, int64_t rows, char* scratch) {
    with_cell(args.forward.shape.cell, [&](auto cell) { walk_backward<decltype(cell)>(args, first, rows, scratch); });
}

#define LITHE_INSTANTIATE(S)                                                              \
    template void gated_pack<S>(const GatedForward<S>&, bool, int64_t, int64_t);          \
    template int64_t gated_scratch<S>(const GatedShape&, int64_t);                        \
    template void gated_forward_rows<S>(const GatedForward<S>&, int64_t, int64_t, char*); \
    template void gated_backward_rows<S>(const GatedBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
