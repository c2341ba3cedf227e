// Two rows added to the state at each step, the second one of what a third one reads. Compiled once per instruction
// set, inside its namespace.
#pragma once

#include "lithe/kernels/matrix_state/corrected_chunk.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// On a walk by chunks: Chunk or Backward. In the system, beta is 1 and the values are what keys' values give to a.
template <class S, class Walk> class LowRank : protected Corrected<S, Walk> {
    using Base = Corrected<S, Walk>;

 public:
    using C = Compute<S>;
    using E = Element<S>;

    template <class... Args>
    LowRank(const HeadRows<const S>& a, const HeadRows<const S>& b, char* scratch, const Args&... args)
        : Base(scratch, args...),
          reads_(n_, this->backward_, d_.arena),
          removes_(n_, this->backward_, d_.arena),
          seen_(d_.arena.template take<E>(n_.rows * n_.row)),
          scores_(d_.arena.template take<C>(n_.rows * n_.row)),
          a_at_(a),
          b_at_(b) {}
    static int64_t bytes(const Sizes<S>& n, bool backward) {
        CorrectedMemory<S> memory(n, backward, nullptr);
        [[maybe_unused]] const Readers<S> reads(n, backward, memory.arena);
        [[maybe_unused]] const Writes<S> removes(n, backward, memory.arena);
        memory.arena.template take<E>(n.rows * n.row);
        memory.arena.template take<C>(n.rows * n.row);
        return memory.arena.used();
    }

 protected:
    using Base::count_;
    using Base::d_;
    using Base::m_;
    using Base::n_;

    // Rows, what they have to do with each other and, if wanted, how queries weigh what is written.
    void begin_reads(bool queries) const {
        this->read(a_at_, 1, 0, reads_);
        this->write(b_at_, 0, removes_);
        for (int64_t i = 0; i < count_; ++i) d_.beta[i] = 1;
        score_writes(removes_, d_.scores, queries);
        this->mark(d_.scores, d_.scores);
        score_writes(m_.writes, scores_, queries);
        for (int64_t i = 0; i < count_; ++i) scores_[i * n_.row + i] = 0;  // a reads before k is written
        this->mark(scores_, seen_);
    }

    // From the state before the chunk and the values, which both stand packed.
    void remove() const {
        this->read_state(reads_, d_.lacks);
        this->read_chunk(seen_, m_.writes.value_sums, d_.lacks);
        for (int64_t i = 0; i < count_ * n_.value_row; i += kLanes) store(d_.lacks + i, -load(d_.lacks + i));
        this->correct();
    }

    const Readers<S> reads_;   // a
    const Writes<S> removes_;  // b
    E* const seen_;            // scores of a and k, with decays

 private:
    void score_writes(const Writes<S>& writes, C* to, bool queries) const {
        if (!queries) return this->score({{&reads_, to}}, writes);
        this->score({{&reads_, to}, {&m_.queries, m_.scores}}, writes);
        this->mark(m_.scores, writes.weights);
    }

    C* const scores_;
    const HeadRows<const S>&a_at_, &b_at_;
};

template <class S, bool kChannel> class LowRankForward : LowRank<S, Chunk<S, kChannel>> {
    using Base = LowRank<S, Chunk<S, kChannel>>;
    using Base::m_;
    using Base::removes_;

 public:
    LowRankForward(const DeltaStateForward<S>& args, int64_t task, char* scratch)
        : Base(args.a, args.b, scratch + bytes_before<S>(args.in.shape, false), args.in, task, scratch, false) {}

    void run() {
        this->walk([this](Compute<S>* state) {
            this->begin_reads(true);
            this->pack_value_sums();
            this->pack_and_decay(state);
            this->remove();
            this->pack_wrote_sums(removes_);
            this->read_state(m_.queries, m_.out);
            for (const Writes<S>* each : {&m_.writes, &removes_}) {
                this->read_chunk(each->weights, each->value_sums, m_.out);
                this->advance(*each, state);
            }
        });
    }
};

template <class S, bool kChannel> class LowRankBackward final : public LowRank<S, Backward<S, kChannel>> {
    using Base = LowRank<S, Backward<S, kChannel>>;
    using Base::args_;
    using Base::b_;
    using Base::count_;
    using Base::d_;
    using Base::h_;
    using Base::m_;
    using Base::n_;
    using Base::reads_;
    using Base::removes_;
    using Base::t_;
    using C = Compute<S>;
    using E = Element<S>;

 public:
    LowRankBackward(const DeltaStateBackward<S>& args, int64_t task, char* scratch)
        : Base(args.a, args.b, scratch + bytes_before<S>(args.in.forward.shape, true), args.in, task, scratch),
          da_(args.da),
          db_(args.db) {}
    using Base::run;

 protected:
    void pass(int64_t first, C* state) override {
        this->begin(first, n_.chunk);
        this->begin_reads(false);
        this->pack_value_sums();
        this->pack_and_decay(state);
        this->remove();
        this->pack_wrote_sums(removes_);
        this->advance(m_.writes, state);
        this->advance(removes_, state);
    }

    void run_chunk(const C* state) override {
        const Readers<S>& queries = m_.queries;
        this->fetch_gradients();
        this->begin_reads(true);
        this->pack_value_sums();
        this->pack_state(state);
        this->remove();
        this->pack_value_rows();
        this->pack_wrote_columns(removes_);
        this->pack_out_gradients();
        this->product_with_state(m_.d_out_a, n_.value_length, state, queries.dq);
        this->product_with_state(m_.value_a, n_.value_length, m_.d_state, m_.writes.dk);
        this->product_with_state(d_.wrote_rows, n_.value_row, m_.d_state, removes_.dk);
        this->pack_and_decay(m_.d_state);
        gradients_back();
        this->product_with_state(d_.d_read_rows, n_.value_row, state, reads_.dq);
        for (const Readers<S>* each : {&queries, &reads_}) this->decay_rows(each->dq, m_.since_begin);
        for (const Writes<S>* each : {&m_.writes, &removes_}) {
            this->decay_rows(each->dk, m_.until_end);
            this->all_score_gradients(reads_, *each);
        }
        if (this->wants_decays()) this->decay_gradients({&queries, &reads_}, {&m_.writes, &removes_});
        this->write_gradients();
        for (int64_t i = 0; i < count_; ++i) {
            this->write(reads_.dq + i * n_.key_row, da_.row(t_ + i, b_, h_), n_.key);
            this->write(removes_.dk + i * n_.key_row, db_.row(t_ + i, b_, h_), n_.key);
        }
    }

 private:
    // d_read, dv and the gradient of the state before the chunk.
    void gradients_back() {
        this->value_gradients(removes_);
        this->correct_back();
        this->value_gradients(m_.writes);
        this->add_over_steps(m_.d_state, m_.queries.q_back, m_.d_out_sums);
        pack_sum_rows<E>(count_, n_.value, this->value_rows(d_.d_read_rows), m_.d_out_sums);
        this->add_over_steps(m_.d_state, reads_.q_back, m_.d_out_sums);
        this->template sum_over_readers<true>(this->seen_, m_.d_out_sums, n_.value, m_.out, n_.value_row);
        for (int64_t i = 0; i < count_; ++i)
            this->write(m_.out + i * n_.value_row, args_.dv.row(t_ + i, b_, h_), n_.value);
    }

    const HeadRows<S>&da_, &db_;
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
