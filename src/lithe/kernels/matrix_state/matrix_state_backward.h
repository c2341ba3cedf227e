// One head of one batch row, walked back by chunks. States that it needs are made anew within a block of kept ones.
// Compiled once per instruction set, inside its namespace.
#pragma once

#include <initializer_list>

#include "lithe/kernels/matrix_state/matrix_state_chunk.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class S, bool kChannel> class Backward : protected Chunk<S, kChannel> {
    using Base = Chunk<S, kChannel>;

 protected:
    using Base::a_;
    using Base::b_;
    using Base::count_;
    using Base::h_;
    using Base::left_;
    using Base::m_;
    using Base::n_;
    using Base::t_;
    using typename Base::Scored;
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

 public:
    Backward(const MatrixStateBackward<S>& args, int64_t task, char* scratch)
        : Base(args.forward, task, scratch, true),
          args_(args) {}
    Backward(const Backward&) = delete;
    Backward& operator=(const Backward&) = delete;

    void run() {
        this->load_state(this->of_task(args_.d_last), m_.d_state);
        for (int64_t block = state_blocks(a_.shape.steps) - 1; block >= 0; --block) run_block(block);
        this->store_state(m_.d_state, this->of_task(args_.d_start));
    }

 protected:
    // A state behind a chunk of whole length from the one before it, in place.
    virtual void pass(int64_t first, C* state) {
        this->begin_state(first, n_.chunk);
        this->pack_value_sums();
        this->decay_state(state);
        this->advance(m_.writes, state);
    }

    // Gradients of a chunk's steps, from the state before them; the state's own goes back over them.
    virtual void run_chunk(const C* state) {
        fetch_gradients();
        pack_value_rows();
        pack_out_gradients();
        const Readers<S>& queries = m_.queries;
        const Writes<S>& writes = m_.writes;
        this->weigh(writes);
        product_of_values(m_.d_out_a, n_.value_length, writes, m_.d_scores);
        product_with_state(m_.d_out_a, n_.value_length, state, queries.dq);
        product_with_state(m_.value_a, n_.value_length, m_.d_state, writes.dk);
        decay_rows(queries.dq, m_.since_begin);
        decay_rows(writes.dk, m_.until_end);
        this->pack_and_decay(m_.d_state);
        value_gradients(writes);
        for (int64_t i = 0; i < count_; ++i)
            this->write(m_.out + i * n_.value_row, args_.dv.row(t_ + i, b_, h_), n_.value);
        score_gradients({{&queries, m_.d_scores}}, writes);
        if (wants_decays()) decay_gradients({&queries}, {&writes});
        write_gradients();
        this->add_over_steps(m_.d_state, queries.q_back, m_.d_out_sums);
    }

    void fetch_gradients() const {
        this->fetch_for_writing(args_.dq, n_.key);
        this->fetch_for_writing(args_.dk, n_.key);
        this->fetch_for_writing(args_.dv, n_.value);
    }
    void pack_value_rows() {
        pack_rows<S>(count_, n_.value, this->rows(a_.v), m_.value_a);
        pack_column_rows<S>(n_.value, count_, this->rows(a_.v), m_.writes.value_columns);
    }
    void pack_out_gradients() {
        pack_rows<S>(count_, n_.value, this->rows(args_.d_out), m_.d_out_a);
        pack_sum_rows<S>(count_, n_.value, this->rows(args_.d_out), m_.d_out_sums);
    }
    void write_gradients() const {
        if (a_.unit > 0) {
            through_length(m_.queries.q, m_.queries.lengths, a_.scale, m_.queries.dq);
            through_length(m_.writes.k, m_.writes.lengths, 1, m_.writes.dk);
        }
        for (int64_t i = 0; i < count_; ++i) {
            this->write(m_.queries.dq + i * n_.key_row, args_.dq.row(t_ + i, b_, h_), n_.key, a_.scale);
            this->write(m_.writes.dk + i * n_.key_row, args_.dk.row(t_ + i, b_, h_), n_.key);
        }
    }
    // Gradients of rows from those of `scale` times what they became, y = x r: r (dy - y (y . dy)).
    void through_length(const C* became, const C* lengths, C scale, C* gradients) const {
        for (int64_t i = 0; i < count_; ++i) {
            const C* y = became + i * n_.key_row;
            C* dy = gradients + i * n_.key_row;
            V dots = V{};
            for (int64_t c = 0; c < n_.key_row; c += kLanes) dots += load(y + c) * load(dy + c);
            const C along = sum(dots) / (scale * scale), length = lengths[i];
            for (int64_t c = 0; c < n_.key_row; c += kLanes)
                store(dy + c, (load(dy + c) - load(y + c) * along) * length);
        }
    }
    // to[i][j] = row i of A . the value of step j, for j <= i.
    void product_of_values(const E* a, int64_t row, const Writes<S>& writes, C* to) const {
        product_into<S, false>(0, count_, count_, row_operands<S>(a, row, writes.value_columns, n_.value),
                               this->before(n_.value), to, n_.row);
    }

    // out = gradients of what is written: of step j what queries see of it, and what the chunk's end sees of it by the
    // gradient of its state, which stands packed.
    void value_gradients(const Writes<S>& writes) const {
        sum_over_readers<false>(writes.weights, m_.d_out_sums, n_.value, m_.out, n_.value_row);
        product_into<S, true>(0, count_, n_.value, row_operands<S>(writes.k_on, n_.key_row, m_.state_sums, n_.key),
                              this->all(n_.key), m_.out, n_.value_row);
    }
    // to[j] = or += the sum over i >= j of weights[i][j] times row i, which stand packed.
    template <bool kAdd>
    void sum_over_readers(const E* weights, const E* rows, int64_t numbers, C* to, int64_t to_row) const {
        pack_sum_tiles<E>(
            count_, count_, [&](int64_t i) { return weights + i * n_.row; }, m_.weight_tiles);
        product_into<S, kAdd>(
            0, count_, numbers, tile_operands<S>(m_.weight_tiles, rows, count_),
            [this](int64_t j, int64_t) {
                return Span{j / kPair<S> * kPair<S>, count_};
            },
            to, to_row);
    }

    // to[i] = state times row i of A.
    void product_with_state(const E* a, int64_t row, const C* state, C* to) const {
        const E* from = this->as_elements(state);
        pack_column_rows<E>(
            n_.value, n_.key, [&](int64_t c) { return from + c * n_.value_row; }, m_.state_columns);
        product_into<S, false>(0, count_, n_.key, row_operands<S>(a, row, m_.state_columns, n_.value),
                               this->all(n_.value), to, n_.key_row);
    }

    // Rows of keys by what has decayed since the chunk's begin, or what will until its end.
    void decay_rows(C* rows, const C* decays) const {
        for (int64_t i = 0; i < count_; ++i) {
            const auto of_step = this->decays_of(decays, i);
            for (int64_t c = 0; c < n_.key_row; c += kLanes) {
                C* at = rows + i * n_.key_row + c;
                store(at, load(at) * of_step(c));
            }
        }
    }

    // Adds what gradients of scores within the chunk make of those of readers and of keys.
    template <int kCount> void score_gradients(const Scored (&list)[kCount], const Writes<S>& writes) const {
        if constexpr (kChannel) {
            for (int64_t c = 0; c < n_.key_row; c += kLanes) channel_score_gradients(list, writes, c);
        } else {
            for (const Scored& each : list) head_score_gradients(each.scores, *each.readers, writes);
        }
    }

    // dg_t = dg_{t+1} + q_t dq_t of all readers - k_t dk_t of all that is written.
    void decay_gradients(std::initializer_list<const Readers<S>*> readers,
                         std::initializer_list<const Writes<S>*> writes) const {
        for (int64_t i = count_ - 1; i >= 0; --i) {
            const int64_t numbers = kChannel ? n_.key : 1;
            V total = V{};
            for (int64_t c = 0; c < n_.key_row; c += kLanes) {
                const int64_t at = i * n_.key_row + c;
                V each = V{};
                for (const Readers<S>* of : readers) each += load(of->q + at) * load(of->dq + at);
                for (const Writes<S>* of : writes) each -= load(of->k + at) * load(of->dk + at);
                if constexpr (kChannel) store(m_.dg + c, load(m_.dg + c) + each);
                else total += each;
            }
            if constexpr (!kChannel) m_.dg[0] += sum(total);
            if (this->flags(i) & kDocumentBegins) __builtin_memset(m_.dg, 0, size_t(numbers) * sizeof(C));
            const C here = this->padded(i) ? 0 : 1;
            if (args_.dg.data) {
                C* dg = args_.dg.row(t_ + i, b_, h_);
                for_each_vector(numbers, [&](int64_t c, auto part) { part.put(dg + c, part.get(m_.dg + c) * here); });
            }
            if (args_.d_gates.data) {
                const S* gates = a_.gates.row(t_ + i, b_, h_);
                S* d_gates = args_.d_gates.row(t_ + i, b_, h_);
                for_each_vector(numbers, [&](int64_t c, auto part) {
                    part.put(d_gates + c,
                             part.get(m_.dg + c) * sigmoid(-part.get(gates + c)) * (here / a_.temperature));
                });
            }
        }
    }
    bool wants_decays() const { return args_.dg.data || args_.d_gates.data; }

    const MatrixStateBackward<S>& args_;

 private:
    // A state's numbers, and how far its rows are apart.
    struct StateAt {
        const C* data;
        int64_t row;
    };

    void run_block(int64_t block) {
        const int64_t first = block * kStateBlock, end = lower(first + kStateBlock, a_.shape.steps);
        const int64_t chunks = (end - first + n_.chunk - 1) / n_.chunk;
        this->load_state(this->kept(block), m_.states);
        for (int64_t i = 0; i < chunks; ++i) fetch_before(first + i * n_.chunk);
        for (int64_t i = 0; i + 1 < chunks; ++i) {
            __builtin_memcpy(m_.states + (i + 1) * n_.state, m_.states + i * n_.state, size_t(n_.state) * sizeof(C));
            pass(first + i * n_.chunk, m_.states + (i + 1) * n_.state);
        }
        const bool last = end == a_.shape.steps;
        StateAt behind{last ? this->of_task(a_.last) : this->kept(block + 1), n_.value};
        for (int64_t i = chunks - 1; i >= 0; --i) {
            const int64_t t = first + i * n_.chunk;
            const C* state = m_.states + i * n_.state;
            this->begin(t, lower(n_.chunk, end - t), i + 1 < chunks);
            begin_decay_gradient(behind);
            run_chunk(state);
            behind = {state, n_.value_row};
        }
    }

    // What the steps a block earlier read.
    void fetch_before(int64_t t) const {
        this->fetch_inputs(t - kStateBlock);
        for (int64_t i = t - kStateBlock; i >= 0 && i < t - kStateBlock + n_.chunk; ++i)
            this->fetch(args_.d_out.row(i, b_, h_), n_.value);
    }

    // Each a sum that decays from step to step.
    template <int kCount>
    void channel_score_gradients(const Scored (&list)[kCount], const Writes<S>& writes, int64_t c) const {
        for (int64_t i = 0; i < count_; ++i) {
            V totals[kCount] = {};
            for (int64_t j = 0; j <= i; ++j) {
                const V left = load(left_ + j * n_.key_row + c), k = load(writes.k + j * n_.key_row + c);
                for (int l = 0; l < kCount; ++l) totals[l] = totals[l] * left + k * list[l].scores[i * n_.row + j];
            }
            for (int l = 0; l < kCount; ++l) add(list[l].readers->dq + i * n_.key_row + c, totals[l]);
        }
        for (int64_t j = 0; j < count_; ++j) {
            V total = V{};
            for (int64_t i = count_ - 1; i >= j; --i) {
                const int64_t at = i * n_.key_row + c;
                if (i + 1 < count_) total *= load(left_ + at + n_.key_row);
                for (int l = 0; l < kCount; ++l)
                    total += load(list[l].readers->q + at) * list[l].scores[i * n_.row + j];
            }
            add(writes.dk + j * n_.key_row + c, total);
        }
    }
    static void add(C* to, V what) { store(to, load(to) + what); }

    // With one decay for all channels, products of matrices.
    void head_score_gradients(const C* d_scores, const Readers<S>& readers, const Writes<S>& writes) const {
        this->mark(d_scores, m_.d_weights);
        pack_sum_rows<E>(count_, n_.key, this->key_rows(writes.k_now), m_.key_sums);
        product_into<S, true>(
            0, count_, n_.key, row_operands<S>(m_.d_weights, n_.row, m_.key_sums, count_),
            [this](int64_t i, int64_t) {
                return Span{0, lower(i + kTileRows, count_)};
            },
            readers.dq, n_.key_row);
        pack_sum_rows<E>(count_, n_.key, this->key_rows(readers.q_now), m_.key_sums);
        sum_over_readers<true>(m_.d_weights, m_.key_sums, n_.key, writes.dk, n_.key_row);
    }

    // Behind the chunk: sum over values of the state by its gradient; for a head over channels, too.
    void begin_decay_gradient(StateAt behind) {
        if (!wants_decays()) return;
        C all = 0;
        for (int64_t c = 0; c < n_.key; ++c) {
            const C *state = behind.data + c * behind.row, *gradient = m_.d_state + c * n_.value_row;
            V total = V{};
            for_each_vector(n_.value,
                            [&](int64_t n, auto part) { total += part.get(state + n) * part.get(gradient + n); });
            m_.dg[c] = sum(total);
            all += m_.dg[c];
        }
        if constexpr (!kChannel) m_.dg[0] = all;
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
