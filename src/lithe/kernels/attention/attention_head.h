// A part of a head: its products and their order. Scores, probabilities and their gradients of a block of queries stay
// in the second-level cache; every product knows per tile of rows which keys its queries can see. Compiled once per
// instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/attention/attention_rows.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// Gradients of the keys from `wanted` on, whose rows begin at dk and dv.
template <class S>
void write_key_gradients(const AttentionBackward<S>& args, int64_t b, int64_t h, int64_t wanted, const Compute<S>* dk,
                         const Compute<S>* dv) {
    const int64_t size = args.forward.size, length = round_up(size, kPanel), memory = args.forward.memory;
    for (int64_t j = wanted; j < args.forward.mask.keys; ++j, dk += length, dv += length) {
        const bool old = j < memory;
        const int64_t t = old ? j : j - memory;
        ScoreRows<S>::write(dk, (old ? args.memory_dk : args.dk).row(t, b, h), size);
        if (args.forward.v.data) ScoreRows<S>::write(dv, (old ? args.memory_dv : args.dv).row(t, b, h), size);
    }
}

// A part of one head of one batch row.
template <class S> class Head {
 public:
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

    Head(const AttentionForward<S>& args, const HeadPart& part, int64_t task, char* scratch, bool backward)
        : a_(args),
          part_(part),
          n_(part.queries, part.keys, args.size),
          m_(args, n_, backward, scratch),
          task_(task),
          b_(task / args.mask.heads),
          h_(task % args.mask.heads),
          rows_(args, part, task, m_) {
        rows_.note_places(n_.row);
    }

    void forward() {
        pack_q();
        pack_column_rows<S>(n_.size, n_.keys, keys(), m_.key_columns);
        pack_sum_rows<S>(n_.keys, n_.size, values(), m_.value_sums);
        for (int64_t first = 0; first < n_.queries; first += n_.block) {
            const int64_t rows = see(first);
            scores(first, rows, m_.scores);
            for (int64_t r = 0; r < rows; ++r) {
                rows_.softmax(first + r, m_.scores + r * n_.row, m_.p + r * n_.row);
                if (a_.probabilities) rows_.keep(first + r, m_.p + r * n_.row);
            }
            product<S>(0, rows, n_.size, row_operands<S>(m_.p, n_.row, m_.value_sums, n_.keys), span_of_rows(),
                       [&](int64_t r, int64_t column, int64_t count, int64_t width, const C* c) {
                           for (int64_t i = 0; i < count; ++i)
                               write(c + i * kPanel, query_row(a_.out, first + r + i) + column, width);
                       });
        }
    }

    // Gradients of queries; those of keys are left in the working memory.
    void backward(const AttentionBackward<S>& args) {
        const int64_t wanted = first_wanted(args);
        pack_rows<S>(n_.queries, n_.size, rows(args.d_out), m_.d_out_a);
        pack_column_rows<S>(n_.size, n_.keys, values(), m_.value_columns);
        pack_sum_rows<S>(n_.keys, n_.size, keys(), m_.key_sums);
        if (!a_.probabilities) {
            pack_q();
            if (!shared()) pack_column_rows<S>(n_.size, n_.keys, keys(), m_.key_columns);
        }
        if (by_distance()) pack_sum_rows<S>(n_.keys, n_.size, distance_rows(), m_.distance_sums);
        rows_.clear_bias_gradients(n_.row);
        __builtin_memset(m_.dk, 0, size_t(n_.columns) * sizeof(C));
        if (!shared()) __builtin_memset(m_.dv, 0, size_t(n_.columns) * sizeof(C));
        if (by_distance()) __builtin_memset(m_.distance_dr, 0, size_t(n_.columns) * sizeof(C));
        for (int64_t first = 0; first < n_.queries; first += n_.block) {
            const int64_t rows = see(first);
            scores_of(m_.d_out_a, m_.value_columns, first, rows, m_.scores);
            if (!a_.probabilities) scores(first, rows, m_.again);
            for (int64_t r = 0; r < rows; ++r)
                rows_.gradients(first + r, m_.scores + r * n_.row, m_.again + r * n_.row,
                                args.d_lse ? args.d_lse[rows_.number(first + r)] : C(0), m_.p + r * n_.row,
                                m_.ds + r * n_.row);
            product<S>(0, rows, n_.size, row_operands<S>(m_.ds, n_.row, m_.key_sums, n_.keys), span_of_rows(),
                       [&](int64_t r, int64_t column, int64_t count, int64_t width, const C* c) {
                           for (int64_t i = 0; i < count; ++i)
                               write(c + i * kPanel, query_row(args.dq, first + r + i) + column, width);
                       });
            const auto keys_seen = [this](int64_t tile) { return m_.spans[tile]; };
            add_over_queries(first, rows, wanted, block_, keys_seen, this->rows(args.d_out), m_.d_out_sums, m_.p,
                             m_.dv);
            add_over_queries(first, rows, wanted, block_, keys_seen, this->rows(a_.q), m_.q_sums, m_.ds, m_.dk);
            if (by_distance()) backward_by_distance(args, first, rows);
        }
        if (by_distance()) add_distance_gradient(args);
        rows_.add_bias_gradients(args);
    }

    // Of all keys whose gradient is asked for, from where backward() left them.
    void write_key_gradients(const AttentionBackward<S>& args) const {
        lithe::kernels::LITHE_ISA::write_key_gradients(args, b_, h_, first_wanted(args), m_.dk, m_.dv);
    }
    // Adds them to rows of all keys.
    void add_key_gradients(C* dk, C* dv) const {
        const int64_t length = round_up(n_.size, kPanel);
        for (int64_t j = 0; j < n_.keys; ++j) {
            add(m_.dk + j * length, dk + part_.key(j) * length, length);
            if (!shared()) add(m_.dv + j * length, dv + part_.key(j) * length, length);
        }
    }

    // Scores that a pass made so far, hidden ones too.
    int64_t computed() const { return computed_; }

 private:
    // First key whose gradient is asked for.
    int64_t first_wanted(const AttentionBackward<S>& args) const {
        return args.memory_dk.data || part_.index ? 0 : a_.memory;
    }
    template <class T> T* query_row(const AttentionRows<T>& all, int64_t i) const {
        return all.row(part_.first + i, b_, h_);
    }
    auto rows(const AttentionRows<const S>& all) const {
        return [this, &all](int64_t i) { return query_row(all, i); };
    }
    auto rows_of_keys(const AttentionRows<const S>& now, const AttentionRows<const S>& memory) const {
        return [this, &now, &memory](int64_t place) {
            const int64_t j = part_.key(place);
            return j < a_.memory ? memory.row(j, b_, h_) : now.row(j - a_.memory, b_, h_);
        };
    }
    bool shared() const { return !a_.v.data; }  // keys are values; dv is dk
    auto keys() const { return rows_of_keys(a_.k, a_.memory_k); }
    auto values() const { return shared() ? keys() : rows_of_keys(a_.v, a_.memory_v); }
    void pack_q() {
        pack_rows<S>(n_.queries, n_.size, rows(a_.q), m_.q_a);
        if (!by_distance()) return;
        pack_rows<S>(n_.queries, n_.size, rows(a_.distance_q), m_.distance_a);
        pack_column_rows<S>(n_.size, n_.keys, distance_rows(), m_.distance_columns);
    }
    bool by_distance() const { return a_.distance_q.data != nullptr; }
    // A part's rows by distance count from the one that its first key is to its last query.
    auto distance_rows() const {
        return [this](int64_t c) { return a_.distance_r.row(part_.first_distance(a_.mask) + c, b_, h_); };
    }

    static void write(const C* from, S* to, int64_t count) { ScoreRows<S>::write(from, to, count); }
    static void add(const C* from, C* to, int64_t count) {
        for (int64_t i = 0; i < count; i += kLanes) store(to + i, load(to + i) + load(from + i));
    }

    // Notes what each tile of the block's queries sees; returns the number of queries.
    int64_t see(int64_t first) {
        const int64_t count = lower(n_.block, n_.queries - first);
        block_ = {n_.keys, 0};
        for (int64_t r = 0; r < count; r += kTileRows) {
            Span span{n_.keys, 0};
            for (int64_t i = r; i < lower(r + kTileRows, count); ++i) {
                const KeyRange range = rows_.visible(first + i);
                if (range.begin >= range.end) continue;
                span.begin = lower(span.begin, range.begin);
                span.end = higher(span.end, range.end);
            }
            span.begin = span.begin < span.end ? span.begin / kPair<S> * kPair<S> : span.end;
            m_.spans[r / kTileRows] = span;
            if (span.begin >= span.end) continue;
            block_.begin = lower(block_.begin, span.begin);
            block_.end = higher(block_.end, span.end);
            computed_ += kTileRows * (round_up(span.end, kLanes) - span.begin / kPanel * kPanel);
        }
        if (block_.begin > block_.end) block_.begin = block_.end;
        rows_.set_block(block_, first);
        return count;
    }
    auto span_of_rows() const {
        return [this](int64_t row, int64_t) { return m_.spans[row / kTileRows]; };
    }

    // scores[r][j] = A row . column j, where any query of the tile sees any key of the panel.
    void scores_of(const E* a, const E* columns, int64_t first, int64_t rows, C* scores) {
        product_where(a, columns, first, rows, scores, [&](int64_t tile) { return m_.spans[tile]; });
    }
    template <class SeenBy>
    void product_where(const E* a, const E* columns, int64_t first, int64_t rows, C* scores, const SeenBy& seen_by) {
        const int64_t length = round_up(n_.size, kPair<S>);
        product_into<S, false>(
            0, rows, n_.keys, row_operands<S>(a + first * length, length, columns, n_.size),
            [&](int64_t row, int64_t column) {
                const Span seen = seen_by(row / kTileRows);
                return Span{0, n_.size, column + kPanel <= seen.begin ? 0 : seen.end - column};
            },
            scores, n_.row);
    }

    // The block's scores: both terms, and bent.
    void scores(int64_t first, int64_t rows, C* scores) {
        scores_of(m_.q_a, m_.key_columns, first, rows, scores);
        if (by_distance()) add_by_distance(first, rows, scores);
        for (int64_t r = 0; rows_.bent() && r < rows; ++r) rows_.bend(first + r, scores + r * n_.row);
    }

    void add_by_distance(int64_t first, int64_t rows, C* scores) {
        product_where(m_.distance_a, m_.distance_columns, first, rows, m_.by_distance,
                      [&](int64_t tile) { return distances_of(first, rows, tile); });
        for (int64_t r = 0; r < rows; ++r) {
            const KeyRange range = rows_.visible(first + r);
            const C* shifted = m_.by_distance + r * n_.row + shift(first + r);
            C* row = scores + r * n_.row;
            // whole vectors: what is not seen is marked or cleared later
            for (int64_t j = range.begin / kLanes * kLanes; j < range.end; j += kLanes)
                store(row + j, load(row + j) + load(shifted + j));
        }
    }

    // Row of r that belongs to query i's key 0.
    int64_t shift(int64_t i) const { return n_.queries - 1 - i; }
    // The rows of r that the queries of a tile need.
    Span distances_of(int64_t first, int64_t rows, int64_t tile) const {
        const Span seen = m_.spans[tile];
        if (seen.begin >= seen.end) return {0, 0};
        const int64_t low = first + tile * kTileRows, high = first + lower(tile * kTileRows + kTileRows, rows) - 1;
        return {(seen.begin + shift(high)) / kPair<S> * kPair<S>, lower(n_.keys, seen.end + shift(low))};
    }

    // Gradients of the term by distance, from the block's ds.
    void backward_by_distance(const AttentionBackward<S>& args, int64_t first, int64_t rows) {
        const auto needed = [&](int64_t tile) { return distances_of(first, rows, tile); };
        Span block{n_.keys, 0};
        for (int64_t tile = 0; tile * kTileRows < rows; ++tile) {
            const Span each = needed(tile);
            if (each.begin < each.end) {
                block.begin = lower(block.begin, each.begin);
                block.end = higher(block.end, each.end);
            }
        }
        const int64_t clear = higher(0, block.begin - kTileRows), clear_end = round_up(block.end, kPair<S>);
        for (int64_t r = 0; r < rows; ++r) {
            const KeyRange range = rows_.visible(first + r);
            E* to = m_.distance_ds + r * n_.row;
            if (clear < clear_end) __builtin_memset(to + clear, 0, size_t(clear_end - clear) * sizeof(E));
            if (range.begin < range.end)
                convert(m_.ds + r * n_.row + range.begin, to + shift(first + r) + range.begin, range.end - range.begin);
        }
        product<S>(
            0, rows, n_.size, row_operands<S>(m_.distance_ds, n_.row, m_.distance_sums, n_.keys),
            [&](int64_t row, int64_t) { return needed(row / kTileRows); },
            [&](int64_t r, int64_t column, int64_t count, int64_t width, const C* c) {
                for (int64_t i = 0; i < count; ++i)
                    write(c + i * kPanel, query_row(args.distance_dq, first + r + i) + column, width);
            });
        if (block.begin >= block.end) return;
        add_over_queries(first, rows, 0, block, needed, this->rows(a_.distance_q), m_.distance_q_sums, m_.distance_ds,
                         m_.distance_dr);
    }

    void add_distance_gradient(const AttentionBackward<S>& args) const {
        const int64_t length = round_up(n_.size, kPanel);
        C* to = args.distance_dr + (task_ * a_.mask.keys + part_.first_distance(a_.mask)) * n_.size;
        for (int64_t c = 0; c < n_.keys; ++c)
            for (int64_t n = 0; n < n_.size; ++n) to[c * n_.size + n] += m_.distance_dr[c * length + n];
    }

    // sums[key][number] += sum over the block's queries of weights[query][key] numbers[query], for the keys of `block`
    // from `wanted` on; a tile of queries has weights on the keys that seen_by says
    template <class SeenBy, class RowAt>
    void add_over_queries(int64_t first, int64_t rows, int64_t wanted, Span block, const SeenBy& seen_by,
                          const RowAt& row_at, E* packed, const E* weights, C* sums) {
        const int64_t begin = wanted > block.begin ? 0 : (block.begin - wanted) / kTileRows * kTileRows;
        const int64_t end = block.end - wanted;
        if (end <= begin) return;
        pack_sum_rows<S>(
            rows, n_.size, [&](int64_t r) { return row_at(first + r); }, packed);
        const auto weights_at = [&](int64_t r) { return weights + r * n_.row + wanted + begin; };
        pack_sum_tiles<S>(rows, end - begin, weights_at, m_.turned);
        const int64_t length = round_up(n_.size, kPanel), tiles = (rows + kTileRows - 1) / kTileRows;
        product_into<S, true>(
            0, end - begin, n_.size, tile_operands<S>(m_.turned, packed, rows),
            [&](int64_t key, int64_t) {
                int64_t low = 0, high = tiles;
                auto sees = [&](int64_t tile) {
                    const Span span = seen_by(tile);
                    const int64_t at = key + begin + wanted;
                    return span.begin < at + kTileRows && span.end > at;
                };
                while (low < high && !sees(low)) ++low;
                while (high > low && !sees(high - 1)) --high;
                return Span{low * kTileRows, lower(high * kTileRows, rows), low < high ? kPanel : 0};
            },
            sums + begin * length, length);
    }

    const AttentionForward<S>& a_;
    HeadPart part_;
    Sizes<S> n_;
    Memory<S> m_;
    int64_t task_, b_, h_;
    ScoreRows<S> rows_;
    Span block_;
    int64_t computed_ = 0;
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
