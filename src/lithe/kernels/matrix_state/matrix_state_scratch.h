// A task's working memory, and small functions. Compiled once per instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/matrix_state/matrix_state_heads.h"
#include "lithe/kernels/simd/arena.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline int64_t lower(int64_t a, int64_t b) { return a < b ? a : b; }
inline float exponential(float x) { return __builtin_expf(x); }
inline double exponential(double x) { return __builtin_exp(x); }
inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// Steps of a chunk. By channel, scores inside a chunk are no product of matrices: short chunks keep them few.
constexpr int64_t kHeadChunk = kStateBlock, kChannelChunk = 16;

// Sizes of a task's working memory, in elements. Rows are whole vectors.
template <class S> struct Sizes {
    int64_t key, value;
    int64_t chunk, chunks;                  // steps of one, and how many make a block
    int64_t rows, key_row, value_row, row;  // rows of a chunk; numbers per row of keys, values, scores
    int64_t state;                          // a state, whose rows are whole tiles
    int64_t value_length;                   // of a packed A of values

    explicit Sizes(const MatrixStateShape& shape) : key(shape.key), value(shape.value) {
        chunk = shape.decay == StateDecay::channel ? kChannelChunk : kHeadChunk;
        chunks = kStateBlock / chunk;
        rows = round_up(chunk, kTileRows);
        key_row = round_up(key, kLanes);
        value_row = round_up(value, kLanes);
        row = round_up(chunk, kLanes);
        state = round_up(key, kTileRows) * value_row;
        value_length = round_up(value, kPair<S>);
    }
    int64_t tiles(int64_t columns) const {
        return (round_up(columns, kTileRows) / kTileRows + 1) * tile_length<S>(chunk);
    }
};

// What the chunk's steps write: keys, as numbers and operands, and values under them.
template <class S> struct Writes {
    using C = Compute<S>;
    using E = Element<S>;
    C* k;                         // zeros at padded steps
    C* lengths;                   // one over what rows were divided by
    E *k_now, *k_on;              // operands: k; k as the chunk's end sees it
    E *key_columns, *value_sums;  // packed: keys for scores, values for sums over steps
    E* weights;                   // scores of queries with decays
    C* dk = nullptr;              // backward
    E* value_columns = nullptr;

    Writes(const Sizes<S>& n, bool backward, Arena& arena) {
        const int64_t keys = n.rows * n.key_row;
        k = arena.take<C>(keys);
        lengths = arena.take<C>(n.rows);
        k_now = arena.take<E>(keys);
        k_on = arena.take<E>(keys);
        key_columns = arena.take<E>(packed_size<S>(n.key, n.chunk));
        value_sums = arena.take<E>(packed_size<S>(n.chunk, n.value));
        weights = arena.take<E>(n.rows * n.row);
        if (!backward) return;
        dk = arena.take<C>(keys);
        value_columns = arena.take<E>(packed_size<S>(n.value, n.chunk));
    }
};

// What reads the state at the chunk's steps: queries, as numbers and operands. By channel only numbers are scored.
template <class S> struct Readers {
    using C = Compute<S>;
    using E = Element<S>;
    C* q;               // zeros at padded steps
    C* lengths;         // one over what rows were divided by
    E *q_now, *q_back;  // operands: q; q looking back at the chunk's begin
    C* dq = nullptr;    // backward

    Readers(const Sizes<S>& n, bool backward, Arena& arena) {
        const int64_t keys = n.rows * n.key_row;
        q = arena.take<C>(keys);
        lengths = arena.take<C>(n.rows);
        q_now = arena.take<E>(keys);
        q_back = arena.take<E>(keys);
        if (backward) dq = arena.take<C>(keys);
    }
    // Keys that are written and read, too.
    Readers(const Writes<S>& writes, E* back, C* gradient)
        : q(writes.k),
          lengths(writes.lengths),
          q_now(writes.k_now),
          q_back(back),
          dq(gradient) {}
};

// A task's working memory. Null pointers count bytes.
template <class S> struct Memory {
    using C = Compute<S>;
    using E = Element<S>;
    Arena arena;
    S* nothing;                         // a row of zeros
    C *left, *since_begin, *until_end;  // decays: of a step, from the chunk's begin, to its end
    Readers<S> queries;                 // scaled
    Writes<S> writes;
    C *scores, *between;  // [chunk][chunk]; decays between two steps
    C *out, *states;      // [chunk][value]; states at the begins of chunks
    E *state_rows, *state_sums, *key_tiles;
    // backward
    C *d_state, *d_scores, *dg;
    E *d_weights, *d_out_a, *value_a, *d_out_sums, *weight_tiles, *state_columns, *key_sums;
    int64_t bytes;

    Memory(const Sizes<S>& n, bool channel, bool backward, char* begin)
        : arena(begin),
          nothing(arena.take<S>(n.key_row + n.value_row)),
          queries(n, backward, arena),
          writes(n, backward, arena) {
        const int64_t keys = n.rows * n.key_row, decays = channel ? keys : n.rows, scores_size = n.rows * n.row;
        left = arena.take<C>(backward && channel ? kStateBlock * n.key_row : decays);
        since_begin = arena.take<C>(decays);
        until_end = arena.take<C>(decays);
        scores = arena.take<C>(scores_size);
        between = arena.take<C>(scores_size);
        out = arena.take<C>(n.rows * n.value_row);
        states = arena.take<C>(n.state * (backward ? n.chunks : 1));
        state_rows = arena.take<E>(n.state);
        state_sums = arena.take<E>(packed_size<S>(n.key, n.value));
        key_tiles = arena.take<E>(n.tiles(n.key));
        if (backward) {
            d_state = arena.take<C>(n.state);
            d_scores = arena.take<C>(scores_size);
            dg = arena.take<C>(n.key_row);
            d_weights = arena.take<E>(scores_size);
            d_out_a = arena.take<E>(n.rows * n.value_length);
            value_a = arena.take<E>(n.rows * n.value_length);
            d_out_sums = arena.take<E>(packed_size<S>(n.chunk, n.value));
            weight_tiles = arena.take<E>(n.tiles(n.chunk));
            state_columns = arena.take<E>(packed_size<S>(n.value, n.key));
            key_sums = arena.take<E>(packed_size<S>(n.chunk, n.key));
        }
        bytes = arena.used();
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
