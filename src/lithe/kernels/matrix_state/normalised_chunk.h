// Input gates with their stabiliser, and the normaliser, on a walk by chunks (matrix_state.h). Compiled once per
// instruction set, inside its namespace.
//
// The normaliser is a column of ones beside the values; what it makes of products of matrices are sums of rows here.
#pragma once

#include "lithe/kernels/matrix_state/matrix_state_backward.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// A task's working memory beside Memory. Null pointers count bytes.
template <class S> struct NormalisedMemory {
    using C = Compute<S>;
    Arena arena;
    C *decays, *admitted;                                    // of steps
    C *least, *sums, *over;                                  // e^{-m}, scale n^T q, one over the larger
    C* n;                                                    // before the chunk, and behind it once it was advanced
    C *behind = nullptr, *d_n = nullptr, *d_sums = nullptr;  // backward: n behind the chunk, its gradient, that of sums
    int64_t bytes;

    NormalisedMemory(const Sizes<S>& sizes, bool backward, char* begin) : arena(begin) {
        decays = arena.take<C>(sizes.rows);
        admitted = arena.take<C>(sizes.rows);
        least = arena.take<C>(sizes.rows);
        sums = arena.take<C>(sizes.rows);
        over = arena.take<C>(sizes.rows);
        n = arena.take<C>(sizes.key_row);
        if (backward) {
            behind = arena.take<C>(sizes.key_row);
            d_n = arena.take<C>(sizes.key_row);
            d_sums = arena.take<C>(sizes.rows);
        }
        bytes = arena.used();
    }
};

// On a walk with a decay for each head: Chunk or Backward.
template <class S, class Walk> class NormalisedWalk : protected Walk {
 protected:
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;
    using Walk::a_;
    using Walk::b_;
    using Walk::count_;
    using Walk::h_;
    using Walk::m_;
    using Walk::n_;
    using Walk::t_;

    // `scratch`: behind the walk's own.
    template <class... Args>
    explicit NormalisedWalk(char* scratch, const Args&... args)
        : Walk(args...),
          d_(this->n_, this->backward_, scratch) {}

    // Decays and gates of the chunk, from m of the step before; the other way round m is that of the chunk's block.
    void gate_inputs() override {
        const int64_t block = t_ / kStateBlock;
        if (this->backward_) load_sums(kept_sums(block));
        else if (a_.kept_sums && t_ % kStateBlock == 0) store_sums(kept_sums(block));
        for (int64_t i = 0; i < count_; ++i) {
            const bool begins = this->flags(i) & kDocumentBegins;
            d_.decays[i] = 1;
            d_.admitted[i] = 0;
            if (begins) m_now_ = C(kNoSum);
            if (!this->padded(i)) {
                const C decayed = begins ? m_now_ : log_decay(t_ + i) + m_now_, in = *a_.admit.row(t_ + i, b_, h_);
                m_now_ = decayed > in ? decayed : in;
                d_.decays[i] = exponential(decayed - m_now_);
                d_.admitted[i] = exponential(in - m_now_);
            }
            const C least = -m_now_ > C(kFarthestSum) ? C(kFarthestSum) : -m_now_;
            d_.least[i] = exponential(least < C(-kFarthestSum) ? C(-kFarthestSum) : least);
        }
        this->decayed_ = d_.decays;
        this->admitted_ = d_.admitted;
    }

    // Sums of the chunk's queries, whose weights stand ready.
    void sum_up() const {
        for (int64_t i = 0; i < count_; ++i) {
            V within = V{};
            for (int64_t j = 0; j <= i; j += kLanes) within += load(m_.writes.weights + i * n_.row + j);
            const C all = m_.since_begin[i] * dot(m_.queries.q + i * n_.key_row, d_.n) + sum(within);
            const C size = all < 0 ? -all : all;
            d_.sums[i] = all;
            d_.over[i] = 1 / (size > d_.least[i] ? size : d_.least[i]);
        }
    }
    // n behind the chunk.
    void advance_sums() const {
        const C left = this->left_of(0);
        for (int64_t c = 0; c < n_.key_row; c += kLanes) {
            V all = load(d_.n + c) * left;
            for (int64_t i = 0; i < count_; ++i) all += load(m_.writes.k + i * n_.key_row + c) * m_.until_end[i];
            store(d_.n + c, all);
        }
    }

    C dot(const C* a, const C* b) const {
        V all = V{};
        for (int64_t c = 0; c < n_.key_row; c += kLanes) all += load(a + c) * load(b + c);
        return sum(all);
    }

    // n and m of the caller's, or null for nothing; and back.
    void load_sums(const C* from) {
        load_keys(from, d_.n);
        m_now_ = from ? from[n_.key] : C(kNoSum);
    }
    void store_sums(C* to) const {
        __builtin_memcpy(to, d_.n, size_t(n_.key) * sizeof(C));
        to[n_.key] = m_now_;
    }
    void load_keys(const C* from, C* to) const {
        __builtin_memset(to, 0, size_t(n_.key_row) * sizeof(C));
        if (from) __builtin_memcpy(to, from, size_t(n_.key) * sizeof(C));
    }
    template <class T> T* of_task(T* all) const { return all ? all + this->task_ * (n_.key + 1) : nullptr; }
    C* kept_sums(int64_t block) const {
        return a_.kept_sums + (this->task_ * state_blocks(a_.shape.steps) + block) * (n_.key + 1);
    }

    const NormalisedMemory<S> d_;
    C m_now_ = C(kNoSum);

 private:
    C log_decay(int64_t t) const {
        if (!a_.gates.data) return *a_.g.row(t, b_, h_);
        return log_sigmoid(broadcast(to_compute(*a_.gates.row(t, b_, h_))))[0] / a_.temperature;
    }
};

template <class S> class NormalisedForward : NormalisedWalk<S, Chunk<S, false>> {
    using Base = NormalisedWalk<S, Chunk<S, false>>;
    using Base::d_;
    using Base::m_;

 public:
    NormalisedForward(const MatrixStateForward<S>& args, int64_t task, char* scratch, char* more)
        : Base(more, args, task, scratch, false) {}

    void run() {
        this->load_sums(Base::of_task(this->a_.start_sums));
        this->walk([this](Compute<S>* state) {
            this->weigh(m_.writes);
            this->sum_up();
            this->pack_value_sums();
            this->pack_and_decay(state);
            this->read_state(m_.queries, m_.out);
            this->read_chunk(m_.writes.weights, m_.writes.value_sums, m_.out);
            divide();
            this->advance(m_.writes, state);
            this->advance_sums();
        });
        this->store_sums(Base::of_task(this->a_.last_sums));
    }

 private:
    void divide() const {
        for (int64_t i = 0; i < this->count_; ++i)
            for (int64_t n = i * this->n_.value_row; n < (i + 1) * this->n_.value_row; n += kLanes)
                store(m_.out + n, load(m_.out + n) * d_.over[i]);
    }
};

// A chunk is a block, so that the kept states are those before chunks.
template <class S> class NormalisedBackward : NormalisedWalk<S, Backward<S, false>> {
    using Walk = Backward<S, false>;
    using Base = NormalisedWalk<S, Walk>;
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;
    using Base::a_;
    using Base::args_;
    using Base::b_;
    using Base::count_;
    using Base::d_;
    using Base::h_;
    using Base::m_;
    using Base::n_;
    using Base::t_;

 public:
    NormalisedBackward(const MatrixStateBackward<S>& args, int64_t task, char* scratch, char* more)
        : Base(more, args, task, scratch) {}

    void run() {
        this->load_keys(Base::of_task(args_.d_last_sums), d_.d_n);
        Base::run();
        C* to = Base::of_task(args_.d_start_sums);
        __builtin_memcpy(to, d_.d_n, size_t(n_.key) * sizeof(C));
        to[n_.key] = of_start();
    }

 private:
    void run_chunk(const C* state) override {
        this->fetch_gradients();
        this->pack_value_rows();
        this->pack_out_gradients();
        const Readers<S>& queries = m_.queries;
        const Writes<S>& writes = m_.writes;
        this->weigh(writes);
        this->sum_up();
        m_.dg[0] += this->dot(sums_behind(), d_.d_n);
        this->product_of_values(m_.d_out_a, n_.value_length, writes, m_.d_scores);
        this->product_with_state(m_.d_out_a, n_.value_length, state, queries.dq);
        this->product_with_state(m_.value_a, n_.value_length, m_.d_state, writes.dk);
        this->decay_rows(queries.dq, m_.since_begin);
        this->decay_rows(writes.dk, m_.until_end);
        divide_gradients();
        add_sum_gradients();
        this->pack_and_decay(m_.d_state);
        this->value_gradients(writes);
        for (int64_t i = 0; i < count_; ++i)
            this->write(m_.out + i * n_.value_row, args_.dv.row(t_ + i, b_, h_), n_.value);
        this->score_gradients({{&queries, m_.d_scores}}, writes);
        this->decay_gradients({&queries}, {&writes});
        write_gradients();
        this->add_over_steps(m_.d_state, queries.q_back, m_.d_out_sums);
    }

    // Of m at the start, by which S and n stand for themselves times e^m.
    C of_start() {
        const C *start = Walk::of_task(a_.start), *gradient = Walk::of_task(args_.d_start);
        if (!start) return 0;
        this->load_keys(Base::of_task(a_.start_sums), d_.behind);
        V all = broadcast(this->dot(d_.behind, d_.d_n) / C(kLanes));
        for_each_vector(n_.key * n_.value,
                        [&](int64_t i, auto part) { all += part.get(start + i) * part.get(gradient + i); });
        return sum(all);
    }
    // n behind the chunk.
    const C* sums_behind() const {
        const bool last = t_ + count_ == a_.shape.steps;
        this->load_keys(last ? Base::of_task(a_.last_sums) : this->kept_sums(t_ / kStateBlock + 1), d_.behind);
        return d_.behind;
    }

    // From the gradients of outputs to those of what was divided: along rows of queries, of scores and of weights, for
    // the products stand already. And those of sums.
    void divide_gradients() const {
        for (int64_t i = 0; i < count_; ++i) {
            E* weights = m_.writes.weights + i * n_.row;
            C *scores = m_.d_scores + i * n_.row, *dq = m_.queries.dq + i * n_.key_row;
            const C over = d_.over[i];
            V within = V{};
            for (int64_t j = 0; j <= i; j += kLanes) {
                const V weight = load(weights + j);  // zeros behind i, where scores may be anything
                within += j + kLanes <= i + 1 ? weight * load(scores + j) : weight * load_part(scores + j, i + 1 - j);
                store(weights + j, weight * over);
            }
            const C along = this->dot(m_.queries.q + i * n_.key_row, dq) + sum(within);
            const bool by_sum = (d_.sums[i] < 0 ? -d_.sums[i] : d_.sums[i]) > d_.least[i];
            d_.d_sums[i] = by_sum ? -along * over * over * (d_.sums[i] < 0 ? C(-1) : C(1)) : C(0);
            for (int64_t j = 0; j <= i; ++j) scores[j] = scores[j] * over + d_.d_sums[i];
            const C of_state = d_.d_sums[i] * m_.since_begin[i];
            E* back = m_.queries.q_back + i * n_.key_row;
            for (int64_t c = 0; c < n_.key_row; c += kLanes) {
                store(dq + c, load(dq + c) * over + load(d_.n + c) * of_state);
                store(back + c, load(back + c) * over);
            }
        }
    }

    // dk from the gradient of n behind the chunk, which becomes that of n before it.
    void add_sum_gradients() const {
        const C left = this->left_of(0);
        for (int64_t c = 0; c < n_.key_row; c += kLanes) {
            const V behind = load(d_.d_n + c);
            V before = behind * left;
            for (int64_t i = 0; i < count_; ++i) {
                const int64_t at = i * n_.key_row + c;
                before += load(m_.queries.q + at) * (d_.d_sums[i] * m_.since_begin[i]);
                store(m_.writes.dk + at, load(m_.writes.dk + at) + behind * m_.until_end[i]);
            }
            store(d_.d_n + c, before);
        }
    }

    void write_gradients() const {
        for (int64_t i = 0; i < count_; ++i) {
            const int64_t at = i * n_.key_row;
            this->write(m_.queries.dq + at, args_.dq.row(t_ + i, b_, h_), n_.key, a_.scale);
            this->write(m_.writes.dk + at, args_.dk.row(t_ + i, b_, h_), n_.key, d_.admitted[i]);
            *args_.d_admit.row(t_ + i, b_, h_) = this->dot(m_.writes.k + at, m_.writes.dk + at);
        }
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
