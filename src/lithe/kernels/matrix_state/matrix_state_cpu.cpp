// Compiled once per instruction set. A chunk's operands, its scores and the state stay in the near caches; states that
// the backward pass needs are made anew within a block of kept ones.
#include "lithe/kernels/matrix_state/matrix_state_chunk.h"
#include "lithe/kernels/simd/subnormals.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class S, bool kChannel> class Forward : Chunk<S, kChannel> {
    using Base = Chunk<S, kChannel>;
    using Base::a_;
    using Base::b_;
    using Base::h_;
    using Base::m_;
    using Base::n_;

 public:
    Forward(const MatrixStateForward<S>& args, int64_t task, char* scratch) : Base(args, task, scratch, false) {}

    void run() {
        Compute<S>* state = m_.states;
        this->load_state(this->of_task(a_.start), state);
        for (int64_t t = 0; t < a_.shape.steps; t += n_.chunk) {
            if (a_.kept && t % kStateBlock == 0) this->store_state(state, this->kept(t / kStateBlock));
            const int64_t count = lower(n_.chunk, a_.shape.steps - t);
            this->fetch_inputs(t + n_.chunk);
            this->begin(t, count);
            this->fetch_for_writing(a_.out, n_.value);
            this->weigh();
            this->pack_value_sums();
            this->outputs(state);
            for (int64_t i = 0; i < count; ++i)
                this->write(m_.out + i * n_.value_row, a_.out.row(t + i, b_, h_), n_.value);
            this->advance(state);
        }
        this->store_state(state, this->of_task(a_.last));
    }
};

template <class S, bool kChannel> class Backward : Chunk<S, kChannel> {
    using Base = Chunk<S, kChannel>;
    using Base::a_;
    using Base::b_;
    using Base::count_;
    using Base::h_;
    using Base::left_;
    using Base::m_;
    using Base::n_;
    using Base::t_;
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

 public:
    Backward(const MatrixStateBackward<S>& args, int64_t task, char* scratch)
        : Base(args.forward, task, scratch, true),
          args_(args) {}

    void run() {
        this->load_state(this->of_task(args_.d_last), m_.d_state);
        for (int64_t block = state_blocks(a_.shape.steps) - 1; block >= 0; --block) run_block(block);
        this->store_state(m_.d_state, this->of_task(args_.d_start));
    }

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
            this->begin_state(first + i * n_.chunk, n_.chunk);
            this->pack_value_sums();
            __builtin_memcpy(m_.states + (i + 1) * n_.state, m_.states + i * n_.state, size_t(n_.state) * sizeof(C));
            this->decay_state(m_.states + (i + 1) * n_.state);
            this->advance(m_.states + (i + 1) * n_.state);
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

    void run_chunk(const C* state) {
        this->fetch_for_writing(args_.dq, n_.key);
        this->fetch_for_writing(args_.dk, n_.key);
        this->fetch_for_writing(args_.dv, n_.value);
        pack_rows<S>(count_, n_.value, this->rows(args_.d_out), m_.d_out_a);
        pack_rows<S>(count_, n_.value, this->rows(a_.v), m_.value_a);
        pack_sum_rows<S>(count_, n_.value, this->rows(args_.d_out), m_.d_out_sums);
        pack_column_rows<S>(n_.value, count_, this->rows(a_.v), m_.value_columns);
        product_into<S, false>(0, count_, count_,
                               row_operands<S>(m_.d_out_a, n_.value_length, m_.value_columns, n_.value),
                               this->before(n_.value), m_.d_scores, n_.row);
        this->weigh();
        product_with_state(m_.d_out_a, state, m_.dq);
        product_with_state(m_.value_a, m_.d_state, m_.dk);
        value_gradients();
        if constexpr (kChannel) channel_gradients();
        else head_gradients();
        if (wants_decays()) decay_gradients();
        for (int64_t i = 0; i < count_; ++i) {
            this->write(m_.dq + i * n_.key_row, args_.dq.row(t_ + i, b_, h_), n_.key, a_.scale);
            this->write(m_.dk + i * n_.key_row, args_.dk.row(t_ + i, b_, h_), n_.key);
        }
        this->add_over_steps(m_.d_state, m_.q_back, m_.d_out_sums);
    }

    // dv_j = sum over i of weights[i][j] do_i, and what the chunk's end sees of k_j by the gradient of its state, which
    // goes back to the chunk's begin.
    void value_gradients() {
        const auto weights_at = [this](int64_t i) { return m_.weights + i * n_.row; };
        pack_sum_tiles<E>(count_, count_, weights_at, m_.weight_tiles);
        product_into<S, false>(
            0, count_, n_.value, tile_operands<S>(m_.weight_tiles, m_.d_out_sums, count_),
            [this](int64_t j, int64_t) {
                return Span{j / kPair<S> * kPair<S>, count_};
            },
            m_.out, n_.value_row);
        this->pack_and_decay(m_.d_state);
        product_into<S, true>(0, count_, n_.value, row_operands<S>(m_.k_on, n_.key_row, m_.state_sums, n_.key),
                              this->all(n_.key), m_.out, n_.value_row);
        for (int64_t i = 0; i < count_; ++i)
            this->write(m_.out + i * n_.value_row, args_.dv.row(t_ + i, b_, h_), n_.value);
    }

    // to[i] = state times row i of A.
    void product_with_state(const E* a, const C* state, C* to) {
        const E* from = this->as_elements(state);
        pack_column_rows<E>(
            n_.value, n_.key, [&](int64_t c) { return from + c * n_.value_row; }, m_.state_columns);
        product_into<S, false>(0, count_, n_.key, row_operands<S>(a, n_.value_length, m_.state_columns, n_.value),
                               this->all(n_.value), to, n_.key_row);
    }

    // dq and dk within the chunk, each a sum that decays from step to step.
    void channel_gradients() {
        for (int64_t c = 0; c < n_.key_row; c += kLanes) {
            for (int64_t i = 0; i < count_; ++i) {
                const int64_t own = i * n_.key_row + c;
                const C* d_scores = m_.d_scores + i * n_.row;
                V total = V{};
                for (int64_t j = 0; j <= i; ++j) {
                    const int64_t at = j * n_.key_row + c;
                    total = total * load(left_ + at) + load(m_.k + at) * d_scores[j];
                }
                store(m_.dq + own, load(m_.dq + own) * load(m_.since_begin + own) + total);
            }
            for (int64_t j = 0; j < count_; ++j) {
                const int64_t own = j * n_.key_row + c;
                const C* d_scores = m_.d_scores + j;
                V total = load(m_.q + (count_ - 1) * n_.key_row + c) * d_scores[(count_ - 1) * n_.row];
                for (int64_t i = count_ - 2; i >= j; --i) {
                    const int64_t at = i * n_.key_row + c;
                    total = total * load(left_ + at + n_.key_row) + load(m_.q + at) * d_scores[i * n_.row];
                }
                store(m_.dk + own, load(m_.dk + own) * load(m_.until_end + own) + total);
            }
        }
    }

    // The same with one decay for all channels: products of matrices.
    void head_gradients() {
        this->mark(m_.d_scores, m_.d_weights);
        for (int64_t i = 0; i < count_; ++i)
            for (int64_t c = 0; c < n_.key_row; c += kLanes) {
                const int64_t at = i * n_.key_row + c;
                store(m_.dq + at, load(m_.dq + at) * m_.since_begin[i]);
                store(m_.dk + at, load(m_.dk + at) * m_.until_end[i]);
            }
        pack_sum_rows<E>(count_, n_.key, this->key_rows(m_.k_now), m_.key_sums);
        product_into<S, true>(
            0, count_, n_.key, row_operands<S>(m_.d_weights, n_.row, m_.key_sums, count_),
            [this](int64_t i, int64_t) {
                return Span{0, lower(i + kTileRows, count_)};
            },
            m_.dq, n_.key_row);
        pack_sum_rows<E>(count_, n_.key, this->key_rows(m_.q_now), m_.key_sums);
        const auto weights_at = [this](int64_t i) { return m_.d_weights + i * n_.row; };
        pack_sum_tiles<E>(count_, count_, weights_at, m_.weight_tiles);
        product_into<S, true>(
            0, count_, n_.key, tile_operands<S>(m_.weight_tiles, m_.key_sums, count_),
            [this](int64_t j, int64_t) {
                return Span{j / kPair<S> * kPair<S>, count_};
            },
            m_.dk, n_.key_row);
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
            m_.dg[c] = sum(total), all += m_.dg[c];
        }
        if constexpr (!kChannel) m_.dg[0] = all;
    }

    // dg_t = dg_{t+1} + q_t dq_t - k_t dk_t
    void decay_gradients() {
        for (int64_t i = count_ - 1; i >= 0; --i) {
            const int64_t numbers = kChannel ? n_.key : 1;
            V total = V{};
            for (int64_t c = 0; c < n_.key_row; c += kLanes) {
                const int64_t at = i * n_.key_row + c;
                const V each = load(m_.q + at) * load(m_.dq + at) - load(m_.k + at) * load(m_.dk + at);
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
};

}  // namespace

template <class S> int64_t matrix_state_scratch(const MatrixStateShape& shape, bool backward) {
    return Memory<S>(Sizes<S>(shape), shape.decay == StateDecay::channel, backward, nullptr).bytes;
}

template <class S>
void matrix_state_forward_heads(const MatrixStateForward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const NoSubnormals none;
    for (int64_t task = begin; task < end; ++task) {
        if (args.shape.decay == StateDecay::channel) Forward<S, true>(args, task, scratch).run();
        else Forward<S, false>(args, task, scratch).run();
    }
}

template <class S>
void matrix_state_backward_heads(const MatrixStateBackward<S>& args, int64_t begin, int64_t end, char* scratch) {
    const NoSubnormals none;
    for (int64_t task = begin; task < end; ++task) {
        if (args.forward.shape.decay == StateDecay::channel) Backward<S, true>(args, task, scratch).run();
        else Backward<S, false>(args, task, scratch).run();
    }
}

#define LITHE_INSTANTIATE(S)                                                                            \
    template int64_t matrix_state_scratch<S>(const MatrixStateShape&, bool);                            \
    template void matrix_state_forward_heads<S>(const MatrixStateForward<S>&, int64_t, int64_t, char*); \
    template void matrix_state_backward_heads<S>(const MatrixStateBackward<S>&, int64_t, int64_t, char*);
LITHE_INSTANTIATE(float)
LITHE_INSTANTIATE(bfloat16)
LITHE_INSTANTIATE(double)
#undef LITHE_INSTANTIATE

}  // namespace lithe::kernels::LITHE_ISA
