// A task's working memory. Compiled once per instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/matrix_state/matrix_state_heads.h"
#include "lithe/kernels/simd/arena.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

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
        key_row = round_up(key, kLanes), value_row = round_up(value, kLanes), row = round_up(chunk, kLanes);
        state = round_up(key, kTileRows) * value_row;
        value_length = round_up(value, kPair<S>);
    }
    int64_t tiles(int64_t columns) const {
        return (round_up(columns, kTileRows) / kTileRows + 1) * tile_length<S>(chunk);
    }
};

// A task's working memory. Null pointers count bytes.
template <class S> struct Memory {
    using C = Compute<S>;
    using E = Element<S>;
    S* nothing;                         // a row of zeros
    C *left, *since_begin, *until_end;  // decays: of a step, from the chunk's begin, to its end
    C *q, *k;                           // scaled q, k; zeros at padded steps
    E *q_now, *k_now, *q_back, *k_on;   // operands: q, k; q looking back at the chunk's begin, k as its end sees it
    C *scores, *between;                // [chunk][chunk]; decays between two steps
    E* weights;                         // scores with decays
    C *out, *states;                    // [chunk][value]; states at the begins of chunks
    E *state_rows, *state_sums, *value_sums, *key_columns, *key_tiles;
    // backward
    C *d_state, *d_scores, *dq, *dk, *dg;
    E *d_weights, *d_out_a, *value_a, *value_columns, *d_out_sums, *weight_tiles, *state_columns, *key_sums;
    int64_t bytes;

    Memory(const Sizes<S>& n, bool channel, bool backward, char* begin) {
        Arena arena(begin);
        const int64_t keys = n.rows * n.key_row, decays = channel ? keys : n.rows, scores_size = n.rows * n.row;
        nothing = arena.take<S>(n.key_row + n.value_row);
        left = arena.take<C>(backward && channel ? kStateBlock * n.key_row : decays),
        since_begin = arena.take<C>(decays), until_end = arena.take<C>(decays);
        q = arena.take<C>(keys), k = arena.take<C>(keys);
        q_now = arena.take<E>(keys), k_now = arena.take<E>(keys);
        q_back = arena.take<E>(keys), k_on = arena.take<E>(keys);
        scores = arena.take<C>(scores_size), between = arena.take<C>(scores_size);
        weights = arena.take<E>(scores_size);
        out = arena.take<C>(n.rows * n.value_row), states = arena.take<C>(n.state * (backward ? n.chunks : 1));
        state_rows = arena.take<E>(n.state), state_sums = arena.take<E>(packed_size<S>(n.key, n.value));
        value_sums = arena.take<E>(packed_size<S>(n.chunk, n.value));
        key_columns = arena.take<E>(packed_size<S>(n.key, n.chunk));
        key_tiles = arena.take<E>(n.tiles(n.key));
        if (backward) {
            d_state = arena.take<C>(n.state), d_scores = arena.take<C>(scores_size);
            dq = arena.take<C>(keys), dk = arena.take<C>(keys), dg = arena.take<C>(n.key_row);
            d_weights = arena.take<E>(scores_size);
            d_out_a = arena.take<E>(n.rows * n.value_length), value_a = arena.take<E>(n.rows * n.value_length);
            value_columns = arena.take<E>(packed_size<S>(n.value, n.chunk));
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
