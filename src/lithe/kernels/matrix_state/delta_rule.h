// The delta rule over chunks: keys read, and what is written is what they lack. Compiled once per instruction set,
// inside its namespace.
#pragma once

#include "lithe/kernels/matrix_state/corrected_chunk.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// On a walk by chunks: Chunk or Backward.
template <class S, class Walk> class Delta : protected Corrected<S, Walk> {
    using Base = Corrected<S, Walk>;

 public:
    using C = Compute<S>;
    using E = Element<S>;

    template <class... Args>
    Delta(const HeadRows<const C>& beta, char* scratch, const Args&... args)
        : Base(scratch, args...),
          reads_(m_.writes, d_.arena.template take<E>(n_.rows * n_.key_row),
                 this->backward_ ? d_.arena.template take<C>(n_.rows * n_.key_row) : nullptr),
          beta_(beta) {}
    static int64_t bytes(const Sizes<S>& n, bool backward) {
        CorrectedMemory<S> memory(n, backward, nullptr);
        memory.arena.template take<E>(n.rows * n.key_row);
        if (backward) memory.arena.template take<C>(n.rows * n.key_row);
        return memory.arena.used();
    }

 protected:
    using Base::b_;
    using Base::count_;
    using Base::d_;
    using Base::h_;
    using Base::m_;
    using Base::n_;
    using Base::t_;

    // What begin() leaves out: keys as readers, and what they have to do with each other; how queries weigh them.
    void begin_reads(bool queries) const {
        for (int64_t i = 0; i < count_; ++i) {
            d_.beta[i] = this->padded(i) ? C(0) : *beta_.row(t_ + i, b_, h_);
            const auto decays = this->decays_of(m_.since_begin, i);
            for (int64_t c = 0; c < n_.key_row; c += kLanes) {
                const int64_t at = i * n_.key_row + c;
                store(reads_.q_back + at, load(reads_.q + at) * decays(c));
            }
        }
        if (queries) {
            this->score({{&reads_, d_.scores}, {&m_.queries, m_.scores}}, m_.writes);
            this->mark(m_.scores, m_.writes.weights);
        } else {
            this->score({{&reads_, d_.scores}}, m_.writes);
        }
        this->mark(d_.scores, d_.scores);
    }

    // From the values and the state before the chunk, which stands packed.
    void correct_values() const {
        this->read_state(reads_, d_.lacks);
        const auto v_at = this->rows(this->a_.v);
        for (int64_t i = 0; i < count_; ++i) {
            const S* v = v_at(i);
            C* lacks = d_.lacks + i * n_.value_row;
            for_each_vector(n_.value,
                            [&](int64_t n, auto part) { store(lacks + n, part.get(v + n) - load(lacks + n)); });
        }
        this->correct();
    }

    const Readers<S> reads_;  // keys

 private:
    const HeadRows<const C>& beta_;
};

template <class S, bool kChannel> class DeltaForward : Delta<S, Chunk<S, kChannel>> {
    using Base = Delta<S, Chunk<S, kChannel>>;
    using Base::m_;

 public:
    DeltaForward(const DeltaStateForward<S>& args, int64_t task, char* scratch)
        : Base(args.beta, scratch + bytes_before<S>(args.in.shape, false), args.in, task, scratch, false) {}

    void run() {
        this->walk([this](Compute<S>* state) {
            this->begin_reads(true);
            this->pack_and_decay(state);
            this->correct_values();
            this->pack_wrote_sums(m_.writes);
            this->read_state(m_.queries, m_.out);
            this->read_chunk(m_.writes.weights, m_.writes.value_sums, m_.out);
            this->advance(m_.writes, state);
        });
    }
};

template <class S, bool kChannel> class DeltaBackward final : public Delta<S, Backward<S, kChannel>> {
    using Base = Delta<S, Backward<S, kChannel>>;
    using Base::args_;
    using Base::b_;
    using Base::count_;
    using Base::d_;
    using Base::h_;
    using Base::m_;
    using Base::n_;
    using Base::reads_;
    using Base::t_;
    using C = Compute<S>;
    using E = Element<S>;

 public:
    DeltaBackward(const DeltaStateBackward<S>& args, int64_t task, char* scratch)
        : Base(args.beta, scratch + bytes_before<S>(args.in.forward.shape, true), args.in, task, scratch),
          d_beta_(args.d_beta) {}
    using Base::run;

 protected:
    void pass(int64_t first, C* state) override {
        this->begin(first, n_.chunk);
        this->begin_reads(false);
        this->pack_and_decay(state);
        this->correct_values();
        this->pack_wrote_sums(m_.writes);
        this->advance(m_.writes, state);
    }

    void run_chunk(const C* state) override {
        const Readers<S>& queries = m_.queries;
        const Writes<S>& writes = m_.writes;
        this->fetch_gradients();
        this->begin_reads(true);
        this->pack_state(state);
        this->correct_values();
        this->pack_wrote_columns(writes);
        this->pack_out_gradients();
        this->product_with_state(m_.d_out_a, n_.value_length, state, queries.dq);
        this->product_with_state(d_.wrote_rows, n_.value_row, m_.d_state, writes.dk);
        this->pack_and_decay(m_.d_state);
        this->value_gradients(writes);
        this->correct_back();
        this->product_with_state(d_.d_read_rows, n_.value_row, state, reads_.dq);
        this->decay_rows(queries.dq, m_.since_begin);
        this->decay_rows(reads_.dq, m_.since_begin);
        this->decay_rows(writes.dk, m_.until_end);
        this->all_score_gradients(reads_, writes);
        if (this->wants_decays()) this->decay_gradients({&queries, &reads_}, {&writes});
        write_all();
        this->add_over_steps(m_.d_state, queries.q_back, m_.d_out_sums);
        pack_sum_rows<E>(count_, n_.value, this->value_rows(d_.d_read_rows), m_.d_out_sums);
        this->add_over_steps(m_.d_state, reads_.q_back, m_.d_out_sums);
    }

 private:
    void write_all() const {
        C* dk = m_.writes.dk;
        for (int64_t i = 0; i < count_ * n_.key_row; i += kLanes) store(dk + i, load(dk + i) + load(reads_.dq + i));
        this->write_gradients();
        for (int64_t i = 0; i < count_; ++i) {
            this->write(d_.d_read + i * n_.value_row, args_.dv.row(t_ + i, b_, h_), n_.value, -1);
            *d_beta_.row(t_ + i, b_, h_) = this->padded(i) ? C(0) : d_.d_beta[i];
        }
    }

    const HeadRows<C>& d_beta_;
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
