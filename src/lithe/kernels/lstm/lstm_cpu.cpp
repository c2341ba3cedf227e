// Compiled once per instruction set. At every step a few rows are multiplied by all of W, packed, which streams through
// the caches once for them; the gates follow while their sums are still there.
#include "lithe/kernels/lstm/lstm_rows.h"
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

    Walk(int64_t d, int64_t rows, char* begin)
        : width(d),
          length(round_up(d, kPair<S>)),
          gate_length(round_up(4 * d, kPair<S>)),
          sums_row(round_up(4 * d, kStateColumns)) {
        Arena arena(begin);
        state = arena.take<E>(rows * length), gates = arena.take<E>(rows * gate_length);
        sums = arena.take<C>(rows * sums_row);
        c = arena.take<C>(rows * d), c_before = arena.take<C>(d), carry_h = arena.take<C>(rows * d);
        bytes = arena.used();
    }
};

template <class S> void clear(S* p, int64_t count) { __builtin_memset(p, 0, size_t(count) * sizeof(S)); }
template <class S> void copy(const S* from, S* to, int64_t count) {
    if (from) __builtin_memcpy(to, from, size_t(count) * sizeof(S));
    else clear(to, count);
}

// h_{t-1} of a row; null: zeros.
template <class S> const S* state_before(const LstmForward<S>& a, int64_t t, int64_t b, uint8_t flags) {
    if (flags & kDocumentBegins) return nullptr;
    if (t > 0) return a.h + ((t - 1) * a.shape.batch + b) * a.shape.width;
    return a.h0 ? a.h0 + b * a.shape.width : nullptr;
}

// h_{t-1} of a row as an operand, and c_{t-1}.
template <class S>
void begin_step(const LstmForward<S>& a, const Walk<S>& m, int64_t t, int64_t b, uint8_t flags, Element<S>* state,
                Compute<S>* c) {
    const int64_t d = m.width;
    if (flags & kDocumentBegins) clear(c, d);
    const S* before = state_before(a, t, b, flags);
    if (before) convert(before, state, d), clear(state + d, m.length - d);
    else clear(state, m.length);
}

// From the row's sums: gates, c_t, h_t.
template <class S>
void gates_of_row(int64_t d, const S* u, const Compute<S>* sums, Compute<S>* c, S* gates, Compute<S>* c_out, S* h) {
    using V = Vec<Compute<S>>;
    for_each_vector(d, [&](int64_t n, auto part) {
        auto plane = [&](int64_t p) { return part.get(u + p * d + n) + part.get(sums + p * d + n); };
        const V i = sigmoid(plane(0)), f = sigmoid(plane(1)), g = tanh(plane(2)), o = sigmoid(plane(3));
        const V now = f * part.get(c + n) + i * g;
        if (gates) {
            part.put(gates + n, i), part.put(gates + d + n, f);
            part.put(gates + 2 * d + n, g), part.put(gates + 3 * d + n, o);
        }
        part.put(c + n, now);
        if (c_out) part.put(c_out + n, now);
        part.put(h + n, o * tanh(now));
    });
}

// From dh and dc of the row: du, and dc_{t-1} in `carry_c`.
template <class S>
void gradients_of_row(int64_t d, const S* gates, const Compute<S>* c, const Compute<S>* c_before, const S* dh,
                      const Compute<S>* carry_h, Compute<S>* carry_c, S* du) {
    using V = Vec<Compute<S>>;
    for_each_vector(d, [&](int64_t n, auto part) {
        const V i = part.get(gates + n), f = part.get(gates + d + n), g = part.get(gates + 2 * d + n),
                o = part.get(gates + 3 * d + n), y = tanh(part.get(c + n));
        const V delta_h = part.get(dh + n) + part.get(carry_h + n);
        const V delta_c = part.get(carry_c + n) + delta_h * o * (1 - y * y);
        part.put(du + n, delta_c * g * i * (1 - i));
        part.put(du + d + n, delta_c * part.get(c_before + n) * f * (1 - f));
        part.put(du + 2 * d + n, delta_c * i * (1 - g * g));
        part.put(du + 3 * d + n, delta_h * y * o * (1 - o));
        part.put(carry_c + n, delta_c * f);
    });
}

template <class S> uint8_t flags_at(const LstmForward<S>& a, int64_t t, int64_t b) {
    return a.flags ? a.flags[t * a.shape.batch + b] : 0;
}
template <class S> const Element<S>* packed(const LstmForward<S>& a) {
    return reinterpret_cast<const Element<S>*>(a.workspace);
}

}  // namespace

int64_t lstm_panels(int64_t width, bool backward) {
    return ((backward ? width : 4 * width) + kStateColumns - 1) / kStateColumns;
}

template <class S> void lstm_pack(const LstmForward<S>& a, bool backward, int64_t begin, int64_t end) {
    const int64_t d = a.shape.width, sum = backward ? 4 * d : d, all = backward ? d : 4 * d;
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

template <class S> int64_t lstm_scratch(int64_t width, int64_t rows) { return Walk<S>(width, rows, nullptr).bytes; }

template <class S> void lstm_forward_rows(const LstmForward<S>& a, int64_t first, int64_t rows, char* scratch) {
    const Walk<S> m(a.shape.width, rows, scratch);
    const int64_t d = m.width;
    copy(a.c0 ? a.c0 + first * d : nullptr, m.c, rows * d);
    for (int64_t t = 0; t < a.shape.steps; ++t) {
        for (int64_t r = 0; r < rows; ++r)
            begin_step(a, m, t, first + r, flags_at(a, t, first + r), m.state + r * m.length, m.c + r * d);
        state_product<S>(rows, m.state, m.length, packed(a), 4 * d, m.sums, m.sums_row);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t b = first + r, at = t * a.shape.batch + b;
            const uint8_t flags = flags_at(a, t, b);
            S* gates = a.gates ? a.gates + at * 4 * d : nullptr;
            Compute<S>*c = m.c + r * d, *c_out = a.c ? a.c + at * d : nullptr;
            if (flags & kPadding) {
                copy(state_before(a, t, b, flags), a.h + at * d, d);
                if (c_out) copy<Compute<S>>(c, c_out, d);
                if (gates) clear(gates, 4 * d);
            } else {
                gates_of_row(d, a.u + at * 4 * d, m.sums + r * m.sums_row, c, gates, c_out, a.h + at * d);
            }
        }
    }
    copy<Compute<S>>(m.c, a.c_last + first * d, rows * d);
}

template <class S> void lstm_backward_rows(const LstmBackward<S>& args, int64_t first, int64_t rows, char* scratch) {
    using C = Compute<S>;
    const LstmForward<S>& a = args.forward;
    const Walk<S> m(a.shape.width, rows, scratch);
    const int64_t d = m.width;
    C* carry_c = m.c;
    copy(args.dc_last ? args.dc_last + first * d : nullptr, carry_c, rows * d);
    clear(m.carry_h, rows * d);
    for (int64_t t = a.shape.steps - 1; t >= 0; --t) {
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t b = first + r, at = t * a.shape.batch + b;
            const uint8_t flags = flags_at(a, t, b);
            S* du = args.du + at * 4 * d;
            if (flags & kPadding) {
                clear(du, 4 * d);
            } else {
                const C* before = t > 0 ? a.c + (at - a.shape.batch) * d : a.c0 ? a.c0 + b * d : nullptr;
                copy(flags & kDocumentBegins ? nullptr : before, m.c_before, d);
                gradients_of_row(d, a.gates + at * 4 * d, a.c + at * d, m.c_before, args.dh + at * d, m.carry_h + r * d,
                                 carry_c + r * d, du);
            }
            Element<S>* operand = m.gates + r * m.gate_length;
            convert(du, operand, 4 * d);
            clear(operand + 4 * d, m.gate_length - 4 * d);
        }
        state_product<S>(rows, m.gates, m.gate_length, packed(a), d, m.sums, m.sums_row);
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t b = first + r, at = t * a.shape.batch + b;
            const uint8_t flags = flags_at(a, t, b);
            C* carry_h = m.carry_h + r * d;
            if (flags & kDocumentBegins) clear(carry_h, d), clear(carry_c + r * d, d);
            else if (flags & kPadding)
                for (int64_t n = 0; n < d; ++n) carry_h[n] += to_compute(args.dh[at * d + n]);
            else copy<C>(m.sums + r * m.sums_row, carry_h, d);
        }
    }
    copy<C>(m.carry_h, args.dh0 + first * d, rows * d);
    copy<C>(carry_c, args.dc0 + first * d, rows * d);
}

#define LITHE_INSTANTIATE(S)                                                            \
    template void lstm_pack<S>(const LstmForward<S>&, bool, int64_t, int64_t);          \
    template int64_t lstm_scratch<S>(int64_t, int64_t);                                 \
    template void lstm_forward_rows<S>(const LstmForward<S>&, int64_t, int64_t, char*); \
    template void lstm_backward_rows<S>(const LstmBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
