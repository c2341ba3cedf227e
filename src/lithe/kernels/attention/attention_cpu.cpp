// Compiled once per instruction set. Scores, probabilities and their gradients of a block of queries stay in the
// second-level cache; every product knows per tile of rows which keys its queries can see.
#include "lithe/kernels/attention/attention_scratch.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

constexpr double kLowest = -3e38;

// One head of one batch row.
template <class S> class Head {
 public:
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

    Head(const AttentionForward<S>& args, int64_t task, char* scratch, bool backward)
        : a_(args),
          n_(args),
          m_(args, n_, backward, scratch),
          task_(task),
          b_(task / args.mask.heads),
          h_(task % args.mask.heads),
          hidden_(args.mask.hidden ? args.mask.hidden + b_ * args.mask.keys : nullptr) {}

    void forward() {
        pack_q();
        pack_column_rows<S>(n_.size, n_.keys, keys(), m_.key_columns);
        pack_sum_rows<S>(n_.keys, n_.size, values(), m_.value_sums);
        for (int64_t first = 0; first < n_.queries; first += n_.block) {
            const int64_t rows = see(first);
            scores(first, rows, m_.scores);
            for (int64_t r = 0; r < rows; ++r) {
                softmax_row(first + r, m_.scores + r * n_.row, m_.p + r * n_.row);
                if (a_.probabilities) keep(first + r, m_.p + r * n_.row);
            }
            product<S>(0, rows, n_.size, row_operands<S>(m_.p, n_.row, m_.value_sums, n_.keys), span_of_rows(),
                       [&](int64_t r, int64_t column, int64_t count, int64_t width, const C* c) {
                           for (int64_t i = 0; i < count; ++i)
                               write(c + i * kPanel, a_.out.row(first + r + i, b_, h_) + column, width);
                       });
        }
    }

    void backward(const AttentionBackward<S>& args) {
        const int64_t wanted = args.memory_dk.data ? 0 : a_.memory;  // first key whose gradient is asked for
        pack_rows<S>(n_.queries, n_.size, rows(args.d_out), m_.d_out_a);
        pack_column_rows<S>(n_.size, n_.keys, values(), m_.value_columns);
        pack_sum_rows<S>(n_.keys, n_.size, keys(), m_.key_sums);
        if (!a_.probabilities) {
            pack_q();
            if (!shared()) pack_column_rows<S>(n_.size, n_.keys, keys(), m_.key_columns);
        }
        if (by_distance()) pack_sum_rows<S>(n_.keys, n_.size, this->rows(a_.distance_r), m_.distance_sums);
        __builtin_memset(m_.dk, 0, size_t(n_.columns) * sizeof(C));
        if (!shared()) __builtin_memset(m_.dv, 0, size_t(n_.columns) * sizeof(C));
        if (by_distance()) __builtin_memset(m_.distance_dr, 0, size_t(n_.columns) * sizeof(C));
        for (int64_t first = 0; first < n_.queries; first += n_.block) {
            const int64_t rows = see(first);
            scores_of(m_.d_out_a, m_.value_columns, first, rows, m_.scores);
            if (!a_.probabilities) scores(first, rows, m_.again);
            gradients_of_scores(first, rows);
            product<S>(0, rows, n_.size, row_operands<S>(m_.ds, n_.row, m_.key_sums, n_.keys), span_of_rows(),
                       [&](int64_t r, int64_t column, int64_t count, int64_t width, const C* c) {
                           for (int64_t i = 0; i < count; ++i)
                               write(c + i * kPanel, args.dq.row(first + r + i, b_, h_) + column, width);
                       });
            const auto keys_seen = [this](int64_t tile) { return m_.spans[tile]; };
            add_over_queries(first, rows, wanted, block_, keys_seen, this->rows(args.d_out), m_.d_out_sums, m_.p,
                             m_.dv);
            add_over_queries(first, rows, wanted, block_, keys_seen, this->rows(a_.q), m_.q_sums, m_.ds, m_.dk);
            if (by_distance()) backward_by_distance(args, first, rows);
        }
        if (by_distance()) write_distance_gradient(args);
        const int64_t length = round_up(n_.size, kPanel);
        for (int64_t j = wanted; j < n_.keys; ++j) {
            const bool old = j < a_.memory;
            const int64_t t = old ? j : j - a_.memory;
            write(m_.dk + (j - wanted) * length, (old ? args.memory_dk : args.dk).row(t, b_, h_), n_.size);
            if (!shared())
                write(m_.dv + (j - wanted) * length, (old ? args.memory_dv : args.dv).row(t, b_, h_), n_.size);
        }
    }

 private:
    auto rows(const AttentionRows<const S>& all) const {
        return [this, &all](int64_t t) { return all.row(t, b_, h_); };
    }
    auto rows_of_keys(const AttentionRows<const S>& now, const AttentionRows<const S>& memory) const {
        return [this, &now, &memory](int64_t j) {
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
        pack_column_rows<S>(n_.size, n_.keys, rows(a_.distance_r), m_.distance_columns);
    }
    bool by_distance() const { return a_.distance_q.data != nullptr; }

    static void write(const C* from, S* to, int64_t count) {
        int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
        for (; i < count; ++i) from_compute(from[i], to[i]);
    }

    KeyRange visible(int64_t i) const { return visible_keys(a_.mask, b_, i); }

    // Notes what each tile of the block's queries sees; returns the number of queries.
    int64_t see(int64_t first) {
        const int64_t count = lower(n_.block, n_.queries - first);
        block_ = {n_.keys, 0};
        for (int64_t r = 0; r < count; r += kTileRows) {
            Span span{n_.keys, 0};
            for (int64_t i = r; i < lower(r + kTileRows, count); ++i) {
                const KeyRange range = visible(first + i);
                if (range.begin >= range.end) continue;
                span.begin = lower(span.begin, range.begin), span.end = higher(span.end, range.end);
            }
            span.begin = span.begin < span.end ? span.begin / kPair<S> * kPair<S> : span.end;
            m_.spans[r / kTileRows] = span;
            if (span.begin < span.end)
                block_.begin = lower(block_.begin, span.begin), block_.end = higher(block_.end, span.end);
        }
        if (block_.begin > block_.end) block_.begin = block_.end;
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

    // Both terms of the block's scores.
    void scores(int64_t first, int64_t rows, C* scores) {
        scores_of(m_.q_a, m_.key_columns, first, rows, scores);
        if (!by_distance()) return;
        product_where(m_.distance_a, m_.distance_columns, first, rows, m_.by_distance,
                      [&](int64_t tile) { return distances_of(first, rows, tile); });
        for (int64_t r = 0; r < rows; ++r) {
            const KeyRange range = visible(first + r);
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
        for (int64_t r = 0; r < rows; ++r) {
            const KeyRange range = visible(first + r);
            E* to = m_.distance_ds + r * n_.row;
            __builtin_memset(to, 0, size_t(n_.row) * sizeof(E));
            if (range.begin < range.end)
                convert(m_.ds + r * n_.row + range.begin, to + shift(first + r) + range.begin, range.end - range.begin);
        }
        const auto needed = [&](int64_t tile) { return distances_of(first, rows, tile); };
        product<S>(
            0, rows, n_.size, row_operands<S>(m_.distance_ds, n_.row, m_.distance_sums, n_.keys),
            [&](int64_t row, int64_t) { return needed(row / kTileRows); },
            [&](int64_t r, int64_t column, int64_t count, int64_t width, const C* c) {
                for (int64_t i = 0; i < count; ++i)
                    write(c + i * kPanel, args.distance_dq.row(first + r + i, b_, h_) + column, width);
            });
        Span block{n_.keys, 0};
        for (int64_t tile = 0; tile * kTileRows < rows; ++tile) {
            const Span each = needed(tile);
            if (each.begin < each.end)
                block.begin = lower(block.begin, each.begin), block.end = higher(block.end, each.end);
        }
        if (block.begin >= block.end) return;
        add_over_queries(first, rows, 0, block, needed, this->rows(a_.distance_q), m_.distance_q_sums, m_.distance_ds,
                         m_.distance_dr);
    }

    void write_distance_gradient(const AttentionBackward<S>& args) const {
        const int64_t length = round_up(n_.size, kPanel);
        C* to = args.distance_dr + task_ * n_.keys * n_.size;
        for (int64_t c = 0; c < n_.keys; ++c)
            __builtin_memcpy(to + c * n_.size, m_.distance_dr + c * length, size_t(n_.size) * sizeof(C));
    }

    // Zeros where query i sees nothing, over the keys that its block sees and a tile before them.
    template <class T> void clear_unseen(int64_t i, T* row) const {
        const KeyRange range = visible(i);
        const int64_t begin = higher(0, block_.begin - kTileRows), end = round_up(block_.end, kPair<S>);
        if (range.begin >= range.end) {
            __builtin_memset(row + begin, 0, size_t(end - begin) * sizeof(T));
            return;
        }
        __builtin_memset(row + begin, 0, size_t(range.begin - begin) * sizeof(T));
        __builtin_memset(row + range.end, 0, size_t(end - range.end) * sizeof(T));
        if (!hidden_) return;
        for (int64_t j = range.begin; j < range.end; ++j)
            if (hidden_[j]) row[j] = T{};
    }

    // Scores that must not count become the lowest, up to whole vectors; returns where the vectors begin.
    int64_t mark_unseen(KeyRange range, C* scores) const {
        const int64_t begin = range.begin / kLanes * kLanes;
        for (int64_t j = begin; j < range.begin; ++j) scores[j] = C(kLowest);
        for (int64_t j = range.end; j % kLanes; ++j) scores[j] = C(kLowest);
        for (int64_t j = range.begin; hidden_ && j < range.end; ++j)
            if (hidden_[j]) scores[j] = C(kLowest);
        return begin;
    }

    // Of whole vectors; two chains of comparisons hide their latency.
    static C highest_of(const C* scores, int64_t begin, int64_t end) {
        V best = broadcast(C(kLowest)), other = best;
        int64_t j = begin;
        for (; j + 3 * kLanes < end; j += 4 * kLanes) {
            best = max(best, max(load(scores + j), load(scores + j + kLanes)));
            other = max(other, max(load(scores + j + 2 * kLanes), load(scores + j + 3 * kLanes)));
        }
        for (; j < end; j += kLanes) best = max(best, load(scores + j));
        return highest(max(best, other));
    }

    void softmax_row(int64_t i, C* scores, E* p) {
        const KeyRange range = visible(i);
        C lse = 0;
        if (range.begin < range.end) {
            const int64_t begin = mark_unseen(range, scores);
            const C top = highest_of(scores, begin, range.end);
            if (top > C(kLowest)) {
                V total = V{};
                for (int64_t j = begin; j < range.end; j += kLanes) {
                    V e = exp((load(scores + j) - top) * a_.scale);
                    store(scores + j, e);
                    total += e;
                }
                const C all = sum(total), factor = 1 / all;
                for (int64_t j = begin; j < range.end; j += kLanes) store(p + j, load(scores + j) * factor);
                lse = top * a_.scale + logarithm(all);
            } else {
                for (int64_t j = begin; j < range.end; j += kLanes) store(p + j, V{});
            }
        }
        clear_unseen(i, p);
        if (a_.lse) a_.lse[task_ * n_.queries + i] = lse;
    }

    static float logarithm(float x) { return __builtin_logf(x); }
    static double logarithm(double x) { return __builtin_log(x); }

    S* kept(int64_t i) const { return a_.probabilities + (task_ * n_.queries + i) * attention_row(n_.keys); }
    void keep(int64_t i, const E* p) {
        const KeyRange range = visible(i);
        S* to = kept(i);
        if constexpr (kPair<S> == 2) convert(p + range.begin, to + range.begin, range.end - range.begin);
        else write(p + range.begin, to + range.begin, range.end - range.begin);
    }

    // The probabilities of query i, kept or from its scores in `again`.
    void probabilities(int64_t i, KeyRange range, const C* again, E* p) const {
        if (a_.probabilities) {
            const S* from = kept(i);
            convert(from + range.begin, p + range.begin, range.end - range.begin);
        } else {
            const C lse = a_.lse[task_ * n_.queries + i];
            for (int64_t j = range.begin / kLanes * kLanes; j < range.end; j += kLanes)
                store(p + j, exp(load(again + j) * a_.scale - lse));
        }
        clear_unseen(i, p);
        for (int64_t j = range.begin / kLanes * kLanes; j < range.begin; ++j) p[j] = E{};
        for (int64_t j = range.end; j % kLanes; ++j) p[j] = E{};  // dp may hold anything there
    }

    // From dp in m_.scores: p and ds of the block.
    void gradients_of_scores(int64_t first, int64_t rows) {
        for (int64_t r = 0; r < rows; ++r) {
            const KeyRange range = visible(first + r);
            const C* dp = m_.scores + r * n_.row;
            E *p = m_.p + r * n_.row, *ds = m_.ds + r * n_.row;
            if (range.begin < range.end) {
                const int64_t begin = range.begin / kLanes * kLanes;
                probabilities(first + r, range, m_.again + r * n_.row, p);
                V dots = V{};
                for (int64_t j = begin; j < range.end; j += kLanes) dots += load(p + j) * load(dp + j);
                const C mean = sum(dots);
                for (int64_t j = begin; j < range.end; j += kLanes)
                    store(ds + j, load(p + j) * (load(dp + j) - mean) * a_.scale);
            } else {
                clear_unseen(first + r, p);
            }
            clear_unseen(first + r, ds);
        }
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
    Sizes<S> n_;
    Memory<S> m_;
    int64_t task_, b_, h_;
    const uint8_t* hidden_;
    Span block_;
};

}  // namespace

template <class S> int64_t attention_scratch(const AttentionForward<S>& args, bool backward) {
    return Memory<S>(args, Sizes<S>(args), backward, nullptr).bytes;
}

template <class S>
void attention_forward_heads(const AttentionForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    for (int64_t task = begin; task < end; ++task) Head<S>(args, task, scratch, false).forward();
}

template <class S>
void attention_backward_heads(const AttentionBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    for (int64_t task = begin; task < end; ++task) Head<S>(args.forward, task, scratch, true).backward(args);
}

#define LITHE_INSTANTIATE(S)                                                                       \
    template int64_t attention_scratch<S>(const AttentionForward<S>&, bool);                       \
    template void attention_forward_heads<S>(const AttentionForward<S>&, int64_t, int64_t, char*); \
    template void attention_backward_heads<S>(const AttentionBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
