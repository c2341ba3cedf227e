// A task's working memory. Compiled once per instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/attention/attention_heads.h"
#include "lithe/kernels/simd/arena.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

constexpr int64_t kBlockBytes = 256 << 10;  // of scores
constexpr int64_t kMostQueries = 256;

int64_t lower(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t higher(int64_t a, int64_t b) { return a > b ? a : b; }

// Some of a head's queries and all keys that they see: all there are, or a block of queries with its spans' keys, which
// then count from 0 on.
struct HeadPart {
    int64_t first = 0, queries = 0;  // queries
    int64_t keys = 0;
    const int32_t* index = nullptr;   // [keys]: which key of the head's each is; null: all of them
    const KeyRange* seen = nullptr;   // [queries]: of these keys; null: what the mask says
    const uint8_t* hidden = nullptr;  // [keys]; null: none
    int64_t key(int64_t j) const { return index ? index[j] : j; }
    // The row by distance of the first key and the last query; where there are such rows, keys lie side by side.
    int64_t first_distance(const SoftmaxMask& mask) const {
        return index && keys > 0 ? index[0] + mask.queries - first - queries : 0;
    }
};

// Sizes of a part's working memory, in elements.
template <class S> struct Sizes {
    int64_t queries, keys, size;
    int64_t row;        // of scores and probabilities
    int64_t turned;     // a packed A of keys, summed over a block of queries
    int64_t block;      // queries per block
    int64_t a_rows;     // a packed A of queries
    int64_t per_query;  // B packed from rows of a block of queries
    int64_t per_key;    // B packed from rows of keys
    int64_t columns;    // sums over queries: keys padded to tiles x size padded to panels

    Sizes(int64_t queries_, int64_t keys_, int64_t size_) : queries(queries_), keys(keys_), size(size_) {
        row = round_up(keys + 1, kPanel);
        const int64_t most = higher(kTileRows, lower(kBlockBytes / (row * int64_t(sizeof(Compute<S>))), kMostQueries));
        const int64_t blocks = higher(1, (queries + most - 1) / most);
        block = round_up((queries + blocks - 1) / blocks, kTileRows);
        turned = (round_up(keys, kTileRows) / kTileRows + 1) * tile_length<S>(block);
        a_rows = (round_up(queries, kTileRows) + kTileRows) * round_up(size, kPair<S>);
        per_query = packed_size<S>(block, size);
        per_key = higher(packed_size<S>(keys, size), packed_size<S>(size, keys));
        columns = (round_up(keys, kTileRows) + kTileRows) * round_up(size, kPanel);
    }
    // Numbers by distance, of which vectors begin anywhere.
    int64_t distances() const { return row + kPanel; }
};

// A part's working memory. Null pointers count bytes.
template <class S> struct Memory {
    using C = Compute<S>;
    using E = Element<S>;
    E *q_a, *key_columns, *value_sums, *p;
    C* scores;
    C* places = nullptr;         // of keys, as numbers: for slopes
    C* key_bias = nullptr;       // of keys, less that of a block's first query
    C* distance_bias = nullptr;  // by distance, and zeros behind
    Span* spans;                 // per tile of a block's queries: the keys that any of them sees
    // backward
    E *d_out_a, *value_columns, *key_sums, *q_sums, *d_out_sums, *ds, *turned;
    C *again, *dk, *dv;
    C *d_key_bias = nullptr, *d_distance_bias = nullptr;
    // the term by distance
    E *distance_a = nullptr, *distance_columns, *distance_sums, *distance_q_sums, *distance_ds;
    C *by_distance, *distance_dr;
    int64_t bytes;

    Memory(const AttentionForward<S>& args, const Sizes<S>& n, bool backward, char* begin) {
        const bool distance = args.distance_q.data, shared = !args.v.data;
        Arena arena(begin);
        q_a = arena.take<E>(n.a_rows);
        key_columns = arena.take<E>(n.per_key);
        value_sums = arena.take<E>(n.per_key);
        p = arena.take<E>((n.block + kTileRows) * n.row);
        scores = arena.take<C>((n.block + kTileRows) * n.row);
        spans = arena.take<Span>(n.block / kTileRows + 1);
        if (args.slopes) places = arena.take<C>(n.row);
        if (args.key_bias) key_bias = arena.take<C>(n.row);
        if (args.distance_bias) distance_bias = arena.take<C>(n.distances());
        if (backward) {
            d_out_a = arena.take<E>(n.a_rows);
            value_columns = value_sums;
            key_sums = arena.take<E>(n.per_key);
            q_sums = arena.take<E>(n.per_query);
            d_out_sums = arena.take<E>(n.per_query);
            ds = arena.take<E>((n.block + kTileRows) * n.row);
            turned = arena.take<E>(n.turned);
            again = arena.take<C>((n.block + kTileRows) * n.row);
            dk = arena.take<C>(n.columns);
            dv = shared ? dk : arena.take<C>(n.columns);
            if (shared) key_columns = value_columns;
            if (args.key_bias) d_key_bias = arena.take<C>(n.row);
            if (args.distance_bias) d_distance_bias = arena.take<C>(n.distances());
        }
        if (distance) {
            distance_a = arena.take<E>(n.a_rows);
            distance_columns = arena.take<E>(n.per_key);
            by_distance = arena.take<C>((n.block + kTileRows) * n.row);
            if (backward) {
                distance_sums = arena.take<E>(n.per_key);
                distance_q_sums = arena.take<E>(n.per_query);
                distance_ds = arena.take<E>((n.block + kTileRows) * n.row);
                distance_dr = arena.take<C>(n.columns);
            }
        }
        bytes = arena.used();
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
