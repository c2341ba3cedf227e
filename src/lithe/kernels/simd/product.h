// Small matrix products for fused kernels, on blocks that stay in the caches: C = A B with fp32 (fp64) sums.
//
// Operands are Elements: bf16 where the instruction set multiplies bf16 (two at a time), else Compute<S>. A step of a
// product takes kPair elements of the summed axis. A is read as it lies, with any distances; B is packed in panels of
// kPanel columns, or as many as a kernel asks for: [panel][step][column][kPair], so that a step's columns lie side by
// side.
//
// Included only by *_cpu.cpp files; see simd/vec.h.
#pragma once

#include <stddef.h>

#include <utility>

#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// Registers of one tile: kTileRows x kTileVectors sums, one row of B, one number of A.
constexpr int kTileRows = kLanes >= 8 ? 6 : 4;
constexpr int kTileVectors = kLanes >= 16 ? 4 : 2;
constexpr int kPanel = kTileVectors * kLanes;

template <class S> struct ElementOf { using type = Compute<S>; };
#if defined(__AVX512BF16__)
template <> struct ElementOf<bfloat16> { using type = bfloat16; };
#endif
template <class S> using Element = typename ElementOf<S>::type;
template <class S> constexpr int kPair = sizeof(Element<S>) == 2 ? 2 : 1;

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
template <class S> inline int64_t steps_of(int64_t n) { return round_up(n, kPair<S>) / kPair<S>; }
// Elements of a packed B with `sum` summed elements and `columns` columns.
template <class S> inline int64_t packed_size(int64_t sum, int64_t columns) {
    return round_up(sum, kPair<S>) * round_up(columns, kPanel);
}

inline VecF multiply_add(VecF sum, const float* a, const float* b) { return sum + *a * load(b); }
inline VecD multiply_add(VecD sum, const double* a, const double* b) { return sum + *a * load(b); }
#if defined(__AVX512BF16__)
inline VecF multiply_add(VecF sum, const bfloat16* a, const bfloat16* b) {
    int32_t pair;
    __builtin_memcpy(&pair, a, sizeof pair);
    return (VecF)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)_mm512_loadu_si512(b));
}
#endif

// c[kRows][kVectors kLanes], rows c_row apart, = or += (kAdd) the sum over `steps` of A (row distance a_row, step
// distance a_step) and a panel of B.
template <class S, bool kAdd, int kVectors, int kRows = kTileRows, int kColumns = kPanel>
inline void product_tile(const Element<S>* a, int64_t a_row, int64_t a_step, const Element<S>* b, int64_t steps,
                         Compute<S>* c, int64_t c_row) {
    Vec<Compute<S>> sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
            if constexpr (kAdd) sums[row][v] = load(c + row * c_row + v * kLanes);
            else sums[row][v] = Vec<Compute<S>>{};
        }
    for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 8
            for (int v = 0; v < kVectors; ++v)
                sums[row][v] = multiply_add(sums[row][v], a + row * a_row, b + v * kLanes * kPair<S>);
        a += a_step;
        b += kColumns * kPair<S>;
    }
    for (int row = 0; row < kRows; ++row)
        for (int v = 0; v < kVectors; ++v) store(c + row * c_row + v * kLanes, sums[row][v]);
}

// What of the summed axis a tile needs, in elements, and how many of its panel's columns; none: the tile is skipped.
struct Span {
    int64_t begin = 0, end = 0;
    int64_t columns = kPanel;
};

// A times all panels of B.
template <class S> struct Operands {
    const Element<S>* a;
    int64_t a_tile, a_row, a_step;  // distances of tiles, of a tile's rows, of steps
    const Element<S>* b;
    int64_t sum;  // elements of the summed axis
};
// A as rows `length` apart, as pack_rows leaves it.
template <class S>
inline Operands<S> row_operands(const Element<S>* a, int64_t length, const Element<S>* b, int64_t sum) {
    return {a, kTileRows * length, length, kPair<S>, b, sum};
}
// Elements from one packed tile to the next: a cache line more than it holds, an odd number of lines, so that the first
// level's sets are all used.
template <class S> inline int64_t tile_length(int64_t sum) {
    const int64_t line = 64 / int64_t(sizeof(Element<S>));
    return (round_up(steps_of<S>(sum) * kTileRows * kPair<S>, line) / line | 1) * line;
}
// A as pack_sum_tiles leaves it.
template <class S> inline Operands<S> tile_operands(const Element<S>* a, const Element<S>* b, int64_t sum) {
    return {a, tile_length<S>(sum), kPair<S>, kTileRows * kPair<S>, b, sum};
}

// Calls tile(row, column, columns left, Operands of the tile's part) for rows [first, rows) by tiles and all panels.
template <class S, class SpanOf, class Tile>
inline void for_each_tile(int64_t first, int64_t rows, int64_t columns, const Operands<S>& in, const SpanOf& span_of,
                          const Tile& tile) {
    const int64_t panel_size = round_up(in.sum, kPair<S>) * kPanel;
    const Element<S>* b = in.b;
    for (int64_t column = 0; column < columns; column += kPanel, b += panel_size) {
        const int64_t left = columns - column < kPanel ? columns - column : kPanel;
        for (int64_t row = first; row < rows; row += kTileRows) {
            const Span span = span_of(row, column);
            if (span.columns <= 0) continue;
            const int64_t begin = span.begin / kPair<S>;
            tile(row, column, left < span.columns ? left : span.columns,
                 Operands<S>{in.a + row / kTileRows * in.a_tile + begin * in.a_step, in.a_tile, in.a_row, in.a_step,
                             b + begin * kPanel * kPair<S>, steps_of<S>(span.end) - begin});
        }
    }
}

template <class S, bool kAdd>
inline void compute_tile(const Operands<S>& t, int64_t columns, Compute<S>* c, int64_t c_row) {
    const int64_t vectors = (columns + kLanes - 1) / kLanes;
    if (vectors == 1) product_tile<S, kAdd, 1>(t.a, t.a_row, t.a_step, t.b, t.sum, c, c_row);
    else if (vectors == 2) product_tile<S, kAdd, 2>(t.a, t.a_row, t.a_step, t.b, t.sum, c, c_row);
    else if constexpr (kTileVectors == 4) {
        if (vectors == 3) product_tile<S, kAdd, 3>(t.a, t.a_row, t.a_step, t.b, t.sum, c, c_row);
        else product_tile<S, kAdd, 4>(t.a, t.a_row, t.a_step, t.b, t.sum, c, c_row);
    }
}

// sink(row, column, rows left, columns left, c) gets c[kTileRows][kPanel] of every tile. span_of(row, panel's first
// column) -> Span for the tile's rows; `first` begins a tile. A must be readable up to a multiple of kTileRows rows.
template <class S, class SpanOf, class Sink>
inline void product(int64_t first, int64_t rows, int64_t columns, const Operands<S>& in, const SpanOf& span_of,
                    const Sink& sink) {
    alignas(64) Compute<S> c[kTileRows * kPanel];
    for_each_tile<S>(first, rows, columns, in, span_of,
                     [&](int64_t row, int64_t column, int64_t left, const Operands<S>& tile) {
                         compute_tile<S, false>(tile, left, c, kPanel);
                         sink(row, column, rows - row < kTileRows ? rows - row : int64_t(kTileRows), left, c);
                     });
}

// Writes into, or adds to, c with rows c_row apart, in whole tiles: there must be room for them.
template <class S, bool kAdd, class SpanOf>
inline void product_into(int64_t first, int64_t rows, int64_t columns, const Operands<S>& in, const SpanOf& span_of,
                         Compute<S>* c, int64_t c_row) {
    for_each_tile<S>(first, rows, columns, in, span_of,
                     [&](int64_t row, int64_t column, int64_t left, const Operands<S>& tile) {
                         compute_tile<S, kAdd>(tile, left, c + row * c_row + column, c_row);
                     });
}

// ---- Packing

inline void convert(const float* from, float* to, int64_t count) { __builtin_memcpy(to, from, size_t(count) * 4); }
inline void convert(const double* from, double* to, int64_t count) { __builtin_memcpy(to, from, size_t(count) * 8); }
inline void convert(const bfloat16* from, bfloat16* to, int64_t count) {
    __builtin_memcpy(to, from, size_t(count) * 2);
}
inline void convert(const bfloat16* from, float* to, int64_t count) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
    for (; i < count; ++i) to[i] = to_compute(from[i]);
}

// A: `rows` rows of `size` numbers, padded with zeros to whole tiles and steps. row_at(r) -> const S*.
template <class S, class RowAt> inline void pack_rows(int64_t rows, int64_t size, const RowAt& row_at, Element<S>* to) {
    const int64_t length = round_up(size, kPair<S>), all = round_up(rows, kTileRows);
    for (int64_t row = 0; row < all; ++row, to += length) {
        const int64_t count = row < rows ? size : 0;
        if (count) convert(row_at(row), to, count);
        __builtin_memset(to + count, 0, size_t(length - count) * sizeof *to);
    }
}

// B[sum][column] = numbers of row `sum`: interleaves kPair rows.
template <class S, int kColumns = kPanel, class RowAt>
inline void pack_sum_rows(int64_t sum, int64_t columns, const RowAt& row_at, Element<S>* to) {
    const int64_t panel_size = round_up(sum, kPair<S>) * kColumns;
    for (int64_t step = 0; step < steps_of<S>(sum); ++step) {
        const S* rows[kPair<S>];
        for (int p = 0; p < kPair<S>; ++p) {
            const int64_t row = step * kPair<S> + p;
            rows[p] = row < sum ? row_at(row) : nullptr;
        }
        Element<S>* panel = to + step * kColumns * kPair<S>;
        for (int64_t column = 0; column < columns; column += kColumns, panel += panel_size) {
            const int64_t left = columns - column < kColumns ? columns - column : kColumns;
            if constexpr (kPair<S> == 2) {
                int64_t c = 0;
                for (; c + kLanes <= left; c += kLanes) {
                    VecU pairs = load_halves(rows[0] + column + c);
                    if (rows[1]) pairs |= load_halves(rows[1] + column + c) << 16;
                    __builtin_memcpy(panel + c * 2, &pairs, sizeof pairs);
                }
                for (; c < left; ++c) {
                    panel[c * 2] = rows[0][column + c];
                    panel[c * 2 + 1] = rows[1] ? rows[1][column + c] : bfloat16{0};
                }
            } else {
                convert(rows[0] + column, panel, left);
            }
            __builtin_memset(panel + left * kPair<S>, 0, size_t((kColumns - left) * kPair<S>) * sizeof *panel);
        }
    }
}

// A[column][sum] = number `column` of row `sum`, tile by tile: [tile of columns][step][column][kPair].
template <class S, class RowAt>
inline void pack_sum_tiles(int64_t sum, int64_t columns, const RowAt& row_at, Element<S>* to) {
    const int64_t steps = steps_of<S>(sum);
    for (int64_t step = 0; step < steps; ++step) {
        const Element<S>* x = row_at(step * kPair<S>);
        const Element<S>* y = kPair<S> == 2 && step * 2 + 1 < sum ? row_at(step * 2 + 1) : nullptr;
        Element<S>* tile = to + step * kTileRows * kPair<S>;
        int64_t column = 0;
#if defined(__AVX512BF16__)
        if constexpr (kPair<S> == 2)
            for (; column + 8 <= columns; column += kTileRows, tile += tile_length<S>(sum)) {
                const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + column));
                const __m128i high =
                    y ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(y + column)) : _mm_setzero_si128();
                _mm256_mask_storeu_epi32(
                    tile, (1 << kTileRows) - 1,
                    _mm256_set_m128i(_mm_unpackhi_epi16(low, high), _mm_unpacklo_epi16(low, high)));
            }
#endif
        for (; column < columns; column += kTileRows, tile += tile_length<S>(sum)) {
            for (int64_t i = 0; i < kTileRows; ++i) {
                const bool there = column + i < columns;
                if constexpr (kPair<S> == 2) {
                    tile[2 * i] = there ? x[column + i] : bfloat16{0};
                    tile[2 * i + 1] = there && y ? y[column + i] : bfloat16{0};
                } else {
                    tile[i] = there ? x[column + i] : Element<S>(0);
                }
            }
        }
    }
}

// One step's elements as lanes, so that a block of kLanes rows can be turned.
template <class S> struct Turned { using type = Vec<Compute<S>>; };
#if defined(__AVX512BF16__)
template <> struct Turned<bfloat16> { using type = VecU; };
#endif

template <int kDistance, class V, size_t... J> inline void exchange(V& x, V& y, std::index_sequence<J...>) {
    V low = __builtin_shufflevector(x, y, ((J & kDistance) ? kLanes + int(J) - kDistance : int(J))...);
    y = __builtin_shufflevector(x, y, ((J & kDistance) ? kLanes + int(J) : int(J) + kDistance)...);
    x = low;
}
template <int kDistance, class V> inline void turn(V (&rows)[kLanes]) {
    if constexpr (kDistance < kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i)
            if (!(i & kDistance)) exchange<kDistance>(rows[i], rows[i + kDistance], std::make_index_sequence<kLanes>{});
        turn<2 * kDistance>(rows);
    }
}

// B[sum][column] = number `sum` of row `column`.
template <class S, int kColumns = kPanel, class RowAt>
inline void pack_column_rows(int64_t sum, int64_t columns, const RowAt& row_at, Element<S>* to) {
    using V = typename Turned<S>::type;
    const int64_t panel_size = round_up(sum, kPair<S>) * kColumns, steps = steps_of<S>(sum);
    for (int64_t first = 0; first < round_up(columns, kColumns); first += kLanes) {
        Element<S>* panel = to + first / kColumns * panel_size + first % kColumns * kPair<S>;
        for (int64_t step = 0; step < steps; step += kLanes) {
            V block[kLanes] = {};
            const int64_t left = sum - step * kPair<S>, take = left < kLanes * kPair<S> ? left : kLanes * kPair<S>;
            for (int i = 0; i < kLanes && first + i < columns; ++i)
                convert(row_at(first + i) + step * kPair<S>, reinterpret_cast<Element<S>*>(&block[i]), take);
            turn<1>(block);
            for (int i = 0; i < kLanes && step + i < steps; ++i)
                __builtin_memcpy(panel + (step + i) * kColumns * kPair<S>, &block[i], sizeof block[i]);
        }
    }
}

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
