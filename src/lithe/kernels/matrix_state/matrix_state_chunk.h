// One head of one batch row, walked by chunks: what forward and backward pass share. Compiled once per instruction set,
// inside its namespace.
#pragma once

#include <type_traits>

#include "lithe/kernels/matrix_state/matrix_state_scratch.h"
#include "lithe/kernels/matrix_state/state_pairs.h"
#include "lithe/kernels/simd/log.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// kChannel: a decay for each channel of the key; else one for each head, or none.
template <class S, bool kChannel> class Chunk {
 public:
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

    Chunk(const MatrixStateForward<S>& args, int64_t task, char* scratch, bool backward)
        : a_(args),
          n_(args.shape),
          m_(n_, kChannel, backward, scratch),
          task_(task),
          b_(task / args.shape.heads),
          h_(task % args.shape.heads),
          backward_(backward) {
        __builtin_memset(m_.nothing, 0, size_t(n_.key_row + n_.value_row) * sizeof(S));
    }
    virtual ~Chunk() = default;

 protected:
    // Goes over all chunks: work(state) puts what the steps read of it into `out` and brings it forward.
    template <class Work> void walk(const Work& work) {
        C* state = m_.states;
        load_state(of_task(a_.start), state);
        for (int64_t t = 0; t < a_.shape.steps; t += n_.chunk) {
            if (a_.kept && t % kStateBlock == 0) store_state(state, kept(t / kStateBlock));
            fetch_inputs(t + n_.chunk);
            begin(t, lower(n_.chunk, a_.shape.steps - t));
            fetch_for_writing(a_.out, n_.value);
            work(state);
            for (int64_t i = 0; i < count_; ++i) write(m_.out + i * n_.value_row, a_.out.row(t_ + i, b_, h_), n_.value);
        }
        store_state(state, of_task(a_.last));
    }

    // Takes up steps [first, first + count): decays, q, k and what is made of them. `known`: begin_state() took them up
    // since the block was begun.
    void begin(int64_t first, int64_t count, bool known = false) {
        take_up(first, count, known);
        read(a_.q, a_.scale, a_.unit, m_.queries);
        write(a_.k, a_.unit, m_.writes);
    }
    // Takes up rows of the caller's as readers, or as what values are written under.
    void read(const HeadRows<const S>& from, C scale, C unit, const Readers<S>& to) const {
        const auto row_at = rows(from);
        for (int64_t i = 0; i < count_; ++i) {
            const S* row = row_at(i);
            to.lengths[i] = one_over_length(row, unit);
            const C factor = scale * to.lengths[i];
            const int64_t at = i * n_.key_row;
            C* plain = to.q + at;
            E *now = kChannel ? nullptr : to.q_now + at, *back = to.q_back + at;
            const auto decays = decays_of(m_.since_begin, i);
            for_each_vector(n_.key, [=](int64_t c, auto part) {
                const V q = part.get(row + c) * factor;
                store(plain + c, q);
                if constexpr (!kChannel) store(now + c, q);
                store(back + c, q * decays(c));
            });
        }
    }
    void write(const HeadRows<const S>& from, C unit, const Writes<S>& to) const {
        const auto row_at = rows(from);
        for (int64_t i = 0; i < count_; ++i) {
            const S* row = row_at(i);
            const C length = to.lengths[i] = admitted_ ? admitted_[i] : one_over_length(row, unit);
            const int64_t at = i * n_.key_row;
            C* plain = to.k + at;
            E *now = kChannel ? nullptr : to.k_now + at, *on = to.k_on + at;
            const auto decays = decays_of(m_.until_end, i);
            for_each_vector(n_.key, [=](int64_t c, auto part) {
                const V k = part.get(row + c) * length;
                store(plain + c, k);
                if constexpr (!kChannel) store(now + c, k);
                store(on + c, k * decays(c));
            });
        }
        if constexpr (!kChannel) pack_column_rows<E>(n_.key, count_, key_rows(to.k_now), to.key_columns);
    }
    // 1 / sqrt(|row|^2 + unit); 1 where unit is 0.
    C one_over_length(const S* row, C unit) const {
        if (unit == 0) return 1;
        V squares = V{};
        for_each_vector(n_.key, [&](int64_t c, auto part) { squares += part.get(row + c) * part.get(row + c); });
        return 1 / root(sum(squares) + unit);
    }
    // Only what the state behind them takes.
    void begin_state(int64_t first, int64_t count) {
        take_up(first, count, false);
        const auto k_at = rows(a_.k);
        for (int64_t i = 0; i < count; ++i) {
            const S* k_row = k_at(i);
            const C length = one_over_length(k_row, a_.unit);
            E* on = m_.writes.k_on + i * n_.key_row;
            const auto decays = decays_of(m_.until_end, i);
            for_each_vector(n_.key,
                            [=](int64_t c, auto part) { store(on + c, part.get(k_row + c) * length * decays(c)); });
        }
    }

    // Fetches ahead what the steps from `first` on read of q, k, v and decays, if there are such steps: rows lie too
    // far apart for the hardware to guess.
    void fetch_inputs(int64_t first) const {
        if (first < 0) return;
        for (int64_t t = first; t < lower(first + n_.chunk, a_.shape.steps); ++t) {
            fetch(a_.q.row(t, b_, h_), n_.key);
            fetch(a_.k.row(t, b_, h_), n_.key);
            fetch(a_.v.row(t, b_, h_), n_.value);
            if (kChannel && a_.gates.data) fetch(a_.gates.row(t, b_, h_), n_.key);
            if (kChannel && a_.g.data) fetch(a_.g.row(t, b_, h_), n_.key);
        }
    }
    template <class T> static void fetch(const T* row, int64_t count) {
        constexpr int64_t kLine = 64 / int64_t(sizeof(T));
        for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(row + i);
    }
    // The same for rows of this chunk that will be written.
    void fetch_for_writing(const HeadRows<S>& rows, int64_t count) const {
        constexpr int64_t kLine = 64 / int64_t(sizeof(S));
        for (int64_t t = t_; t < t_ + count_; ++t)
            for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(rows.row(t, b_, h_) + i, 1);
    }

    // Readers, and their scores or gradients of them, [chunk][chunk].
    struct Scored {
        const Readers<S>* readers;
        C* scores;
    };
    // weights[i][j] = q_i . k_j by the decay between j and i, for j <= i; zeros behind.
    void weigh(const Writes<S>& writes) const {
        score({{&m_.queries, m_.scores}}, writes);
        mark(m_.scores, writes.weights);
    }
    // scores[i][j] = q_i . k_j for j <= i, by channel with the decay between; for all of the list.
    template <int kCount> void score(const Scored (&list)[kCount], const Writes<S>& writes) const {
        if constexpr (kChannel) {
            for (int64_t j = 0; j < count_; ++j)
                slabs([&](auto vectors, int64_t c) { score_column<decltype(vectors)::value>(list, writes.k, j, c); });
        } else {
            for (const Scored& each : list)
                product_into<S, false>(0, count_, count_,
                                       row_operands<S>(each.readers->q_now, n_.key_row, writes.key_columns, n_.key),
                                       before(n_.key), each.scores, n_.row);
        }
    }

    // to[i] = what readers see of the state before the chunk, which stands packed.
    void read_state(const Readers<S>& readers, C* to) const {
        product_into<S, false>(0, count_, n_.value, row_operands<S>(readers.q_back, n_.key_row, m_.state_sums, n_.key),
                               all(n_.key), to, n_.value_row);
    }
    // to[i] += what they see of the chunk's own values, by weights.
    void read_chunk(const E* weights, const E* value_sums, C* to) const {
        product_into<S, true>(
            0, count_, n_.value, row_operands<S>(weights, n_.row, value_sums, count_),
            [this](int64_t row, int64_t) {
                return Span{0, lower(row + kTileRows, count_)};
            },
            to, n_.value_row);
    }

    // The state behind the chunk, in place, once it has decayed; values must stand ready.
    void advance(const Writes<S>& writes, C* state) const { add_over_steps(state, writes.k_on, writes.value_sums); }

    // state += rows^T times what is packed.
    void add_over_steps(C* state, const E* rows, const E* packed) const {
        pack_sum_tiles<E>(count_, n_.key, key_rows(rows), m_.key_tiles);
        product_into<S, true>(0, n_.key, n_.value, tile_operands<S>(m_.key_tiles, packed, count_), all(count_), state,
                              n_.value_row);
    }

    // What the chunk's end has left of channel c of the state at its begin.
    C left_of(int64_t c) const { return m_.since_begin[kChannel ? (count_ - 1) * n_.key_row + c : count_ - 1]; }
    void decay_state(C* state) const {
        for (int64_t c = 0; c < n_.key && !even_; ++c)
            for (int64_t n = c * n_.value_row; n < (c + 1) * n_.value_row; n += kLanes)
                store(state + n, load(state + n) * left_of(c));
    }

    void pack_value_sums() const { pack_sum_rows<S>(count_, n_.value, rows(a_.v), m_.writes.value_sums); }
    // Packs a state and lets it decay over the chunk.
    void pack_and_decay(C* state) const {
#if defined(__AVX512BF16__)
        if constexpr (kPair<S> == 2)
            return pack_pairs_and_decay(
                state, n_.key, n_.value_row, even_, [this](int64_t c) { return left_of(c); }, m_.state_sums);
#endif
        pack_state(state);
        decay_state(state);
    }
    void pack_state(const C* state) const {
        const E* from = as_elements(state);
        pack_sum_rows<E>(
            n_.key, n_.value, [&](int64_t c) { return from + c * n_.value_row; }, m_.state_sums);
    }

    // A state as operands.
    const E* as_elements(const C* state) const {
        if constexpr (sizeof(E) == sizeof(C)) {
            return state;
        } else {
            for (int64_t i = 0; i < n_.key * n_.value_row; i += kLanes) store(m_.state_rows + i, load(state + i));
            return m_.state_rows;
        }
    }

    uint8_t flags(int64_t i) const { return a_.flags ? a_.flags[(t_ + i) * a_.shape.batch + b_] : 0; }
    bool padded(int64_t i) const { return flags(i) & kPadding; }
    // The chunk's rows; zeros at padded steps.
    auto rows(const HeadRows<const S>& from) const {
        return [this, &from](int64_t i) -> const S* { return padded(i) ? m_.nothing : from.row(t_ + i, b_, h_); };
    }
    template <class T> auto key_rows(const T* from) const {
        return [this, from](int64_t i) { return from + i * n_.key_row; };
    }
    static auto all(int64_t sum) {
        return [sum](int64_t, int64_t) { return Span{0, sum}; };
    }
    // Columns up to the row's own.
    static auto before(int64_t sum) {
        return [sum](int64_t row, int64_t column) { return Span{0, sum, row + kTileRows - column}; };
    }

    // Those of step i, a vector from channel c on each.
    auto decays_of(const C* of, int64_t i) const {
        if constexpr (kChannel) return [row = of + i * n_.key_row](int64_t c) { return load(row + c); };
        else return [all = broadcast(of[i])](int64_t) { return all; };
    }

    // to[i][j] = from[i][j] by the decay between, zeros for j > i; may be in place. Scores by channel have theirs.
    template <class T> void mark(const C* from, T* to) const {
        for (int64_t i = 0; i < count_; ++i) {
            const C *row = from + i * n_.row, *between = m_.between + i * n_.row;
            T* marked = to + i * n_.row;
            for (int64_t j = 0; j < n_.row; j += kLanes) {
                if (j > i) {
                    store(marked + j, V{});
                } else if (kChannel || even_) {
                    store(marked + j, load(row + j));
                } else {
                    store(marked + j, load(row + j) * load(between + j));
                }
            }
            for (int64_t j = i + 1; j % kLanes; ++j) marked[j] = T{};
        }
    }

    // Calls work(vectors, first number) for stretches of a key's row, `vectors` a constant.
    template <class Work> void slabs(const Work& work) const {
        int64_t c = 0;
        for (; c + 4 * kLanes <= n_.key_row; c += 4 * kLanes) work(std::integral_constant<int, 4>(), c);
        for (; c + 2 * kLanes <= n_.key_row; c += 2 * kLanes) work(std::integral_constant<int, 2>(), c);
        for (; c < n_.key_row; c += kLanes) work(std::integral_constant<int, 1>(), c);
    }

    static void write(const C* from, S* to, int64_t count, C factor = 1) {
        int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i) * factor);
        for (; i < count; ++i) from_compute(from[i] * factor, to[i]);
    }

    // A state [key][value] of the caller's, or null for zeros, with rows of vectors; and back.
    void load_state(const C* from, C* to) const {
        __builtin_memset(to, 0, size_t(n_.state) * sizeof(C));
        for (int64_t c = 0; from && c < n_.key; ++c)
            __builtin_memcpy(to + c * n_.value_row, from + c * n_.value, size_t(n_.value) * sizeof(C));
    }
    void store_state(const C* from, C* to) const {
        for (int64_t c = 0; c < n_.key; ++c)
            __builtin_memcpy(to + c * n_.value, from + c * n_.value_row, size_t(n_.value) * sizeof(C));
    }
    template <class T> T* of_task(T* all, int64_t states = 1, int64_t state = 0) const {
        return all ? all + (task_ * states + state) * n_.key * n_.value : nullptr;
    }
    C* kept(int64_t block) const { return of_task(a_.kept, state_blocks(a_.shape.steps), block); }

    const MatrixStateForward<S>& a_;
    const Sizes<S> n_;
    const Memory<S> m_;
    const int64_t task_, b_, h_;
    const bool backward_;
    C* left_ = nullptr;          // what each of the chunk's steps leaves
    int64_t t_ = 0, count_ = 0;  // the chunk's steps
    bool even_ = false;          // nothing decays in the chunk
    // Of the chunk's steps, instead of decays and lengths of keys; null: those.
    const C *decayed_ = nullptr, *admitted_ = nullptr;
    virtual void gate_inputs() {}  // makes them

 private:
    void take_up(int64_t first, int64_t count, bool known) {
        t_ = first;
        count_ = count;
        left_ = m_.left + (backward_ && kChannel ? first % kStateBlock * n_.key_row : 0);
        if constexpr (kChannel) {
            if (!known) read_channel_decays();
            add_up_channel_decays();
        } else {
            gate_inputs();
            read_head_decays();
        }
    }

    void read_channel_decays() const {
        for (int64_t i = 0; i < count_; ++i) {
            const C kept = flags(i) & kDocumentBegins ? 0 : 1;
            const bool decays = kept > 0 && !padded(i);
            const C* g = decays && !a_.gates.data ? a_.g.row(t_ + i, b_, h_) : nullptr;
            const S* gates = decays && a_.gates.data ? a_.gates.row(t_ + i, b_, h_) : nullptr;
            for_each_vector(n_.key, [&](int64_t c, auto part) {
                const int64_t at = i * n_.key_row + c;
                V left = broadcast(kept);
                if (gates) left = exp(log_sigmoid(part.get(gates + c)) / a_.temperature);
                else if (g) left = exp(part.get(g + c));
                store(left_ + at, left);
            });
        }
    }
    void add_up_channel_decays() const {
        for (int64_t c = 0; c < n_.key_row; c += kLanes) {
            V all = broadcast(C(1));
            for (int64_t i = 0; i < count_; ++i) {
                all *= load(left_ + i * n_.key_row + c);
                store(m_.since_begin + i * n_.key_row + c, all);
            }
            all = broadcast(C(1));
            for (int64_t i = count_ - 1; i >= 0; --i) {
                store(m_.until_end + i * n_.key_row + c, all);
                all *= load(left_ + i * n_.key_row + c);
            }
        }
    }

    C head_decay(int64_t t) const {
        if (!a_.gates.data) return exponential(*a_.g.row(t, b_, h_));
        return exponential(log_sigmoid(broadcast(to_compute(*a_.gates.row(t, b_, h_))))[0] / a_.temperature);
    }

    void read_head_decays() {
        even_ = true;
        for (int64_t i = 0; i < count_; ++i) {
            C left = decayed_ ? decayed_[i] : C(1);
            if (flags(i) & kDocumentBegins) left = 0;
            else if (a_.shape.decay == StateDecay::head && !padded(i) && !decayed_) left = head_decay(t_ + i);
            even_ = even_ && left == 1;
            left_[i] = left;
            m_.since_begin[i] = i > 0 ? m_.since_begin[i - 1] * left : left;
        }
        for (int64_t i = count_ - 1; i >= 0; --i)
            m_.until_end[i] = i + 1 < count_ ? m_.until_end[i + 1] * left_[i + 1] : C(1);
        for (int64_t i = 0; !even_ && i < count_; ++i) {
            C* row = m_.between + i * n_.row;
            for (int64_t j = 0; j < i; j += kLanes) store(row + j, load(row + j - n_.row) * left_[i]);
            row[i] = 1;
        }
    }

    // Scores [i][j] for one j, over kVectors vectors of channels: k_j walks on and decays.
    template <int kVectors, int kCount>
    void score_column(const Scored (&list)[kCount], const C* k, int64_t j, int64_t c) const {
        V walking[kVectors];
        for (int v = 0; v < kVectors; ++v) walking[v] = load(k + j * n_.key_row + c + v * kLanes);
        // what the loop writes might be these members, as far as a compiler knows
        const C *left = left_ + c, *q[kCount];
        C* scores[kCount];
        for (int l = 0; l < kCount; ++l) {
            q[l] = list[l].readers->q + c;
            scores[l] = list[l].scores + j;
        }
        const int64_t count = count_, key_row = n_.key_row, row = n_.row;
        for (int64_t i = j; i < count; ++i) {
            V totals[kCount] = {};
            for (int v = 0; v < kVectors; ++v) {
                const int64_t at = i * key_row + v * kLanes;
                if (i > j) walking[v] *= load(left + at);
                for (int l = 0; l < kCount; ++l) totals[l] += walking[v] * load(q[l] + at);
            }
            for (int l = 0; l < kCount; ++l) {
                C& score = scores[l][i * row];
                score = c > 0 ? score + sum(totals[l]) : sum(totals[l]);
            }
        }
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
