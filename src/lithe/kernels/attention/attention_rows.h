// A part's rows of scores: bent, made into probabilities, taken back in the backward pass. Compiled once per
// instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/attention/attention_scratch.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline float logarithm(float x) { return __builtin_logf(x); }
inline double logarithm(double x) { return __builtin_log(x); }

template <class S> class ScoreRows {
 public:
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

    ScoreRows(const AttentionForward<S>& args, const HeadPart& part, int64_t task, const Memory<S>& memory)
        : a_(args),
          part_(part),
          task_(task),
          b_(task / args.mask.heads),
          places_(memory.places),
          slope_(args.slopes ? args.slopes[task % args.mask.heads] : C(0)),
          key_bias_(memory.key_bias),
          distance_bias_(memory.distance_bias),
          d_key_bias_(memory.d_key_bias),
          d_distance_bias_(memory.d_distance_bias),
          of_keys_(args.key_bias ? args.key_bias + task * args.mask.keys : nullptr) {}

    // Before scores are bent.
    void note_places(int64_t row) {
        for (int64_t j = 0; places_ && j < row; ++j) places_[j] = j < part_.keys ? C(part_.key(j)) : C(0);
        if (!distance_bias_) return;
        const C* from = a_.distance_bias + task_ % a_.mask.heads * a_.mask.keys + part_.first_distance(a_.mask);
        for (int64_t c = 0; c < row + kPanel; ++c) distance_bias_[c] = c < part_.keys ? from[c] : C(0);
    }
    // Before gradients, and behind them.
    void clear_bias_gradients(int64_t row) {
        if (d_key_bias_) __builtin_memset(d_key_bias_, 0, size_t(row) * sizeof(C));
        if (d_distance_bias_) __builtin_memset(d_distance_bias_, 0, size_t(row + kPanel) * sizeof(C));
    }
    void add_bias_gradients(const AttentionBackward<S>& args) const {
        for (int64_t j = 0; d_key_bias_ && j < part_.keys; ++j)
            args.d_key_bias[task_ * a_.mask.keys + part_.key(j)] += d_key_bias_[j];
        for (int64_t c = 0; d_distance_bias_ && c < part_.keys; ++c)
            args.d_distance_bias[task_ * a_.mask.keys + part_.first_distance(a_.mask) + c] += d_distance_bias_[c];
        for (int64_t i = 0; d_key_bias_ && args.d_lse && i < part_.queries; ++i)
            args.d_key_bias[task_ * a_.mask.keys + position(part_.first + i)] -= args.d_lse[number(i)];
    }

    // What query i of the part sees, and where it and its lse stand among all.
    KeyRange visible(int64_t i) const {
        return part_.seen ? part_.seen[i] : visible_keys(a_.mask, b_, part_.first + i);
    }
    int64_t number(int64_t i) const { return task_ * a_.mask.queries + part_.first + i; }

    // From now on, rows are of queries that see these keys alone, and `first` is the first of them.
    void set_block(Span block, int64_t first) {
        block_ = block;
        if (!key_bias_) return;
        reference_ = of_keys_[position(part_.first + first)];
        for (int64_t j = block.begin / kLanes * kLanes; j < round_up(block.end, kLanes); ++j)
            key_bias_[j] = j < part_.keys ? C(of_keys_[part_.key(j)] - reference_) : C(0);
    }

    bool bent() const { return a_.soft_cap > 0 || adds(); }
    // Scores, as products left them, get their scale, cap and slope; whole vectors, what is not seen is marked later.
    void bend(int64_t i, C* scores) const {
        const KeyRange range = visible(i);
        const C cap = a_.soft_cap, within = cap > 0 ? 1 / cap : C(0);
        for (int64_t j = range.begin / kLanes * kLanes; j < range.end; j += kLanes) {
            V s = load(scores + j) * a_.scale;
            if (cap > 0) s = tanh(s * within) * cap;
            store(scores + j, adds() ? s + added(i, j) : s);
        }
    }

    // Probabilities of query i, whose scores are lost; notes lse.
    void softmax(int64_t i, C* scores, E* p) {
        const KeyRange range = visible(i);
        const C scale = bent() ? C(1) : a_.scale;
        C lse = C(kNothing);
        if (range.begin < range.end) {
            const int64_t begin = mark_unseen(range, scores);
            const C top = highest_of(scores, begin, range.end);
            if (top > C(kNothing)) {
                V total = V{};
                for (int64_t j = begin; j < range.end; j += kLanes) {
                    V e = exp((load(scores + j) - top) * scale);
                    store(scores + j, e);
                    total += e;
                }
                const C all = sum(total), factor = 1 / all;
                for (int64_t j = begin; j < range.end; j += kLanes) store(p + j, load(scores + j) * factor);
                lse = top * scale + logarithm(all);
            } else {
                for (int64_t j = begin; j < range.end; j += kLanes) store(p + j, V{});
            }
        }
        clear_unseen(i, p);
        if (a_.lse) a_.lse[number(i)] = lse;
    }

    void keep(int64_t i, const E* p) const {
        const KeyRange range = visible(i);
        S* to = kept(i);
        if constexpr (kPair<S> == 2) convert(p + range.begin, to + range.begin, range.end - range.begin);
        else write(p + range.begin, to + range.begin, range.end - range.begin);
    }

    // From dp: p and ds of query i; `again`: its scores, where p was not kept.
    void gradients(int64_t i, const C* dp, const C* again, C d_lse, E* p, E* ds) const {
        const KeyRange range = visible(i);
        if (range.begin < range.end) {
            const int64_t begin = range.begin / kLanes * kLanes;
            probabilities(i, range, again, p);
            V dots = V{};
            for (int64_t j = begin; j < range.end; j += kLanes) dots += load(p + j) * load(dp + j);
            const C mean = sum(dots) - d_lse;
            if (a_.soft_cap > 0) {
                const C within = 1 / a_.soft_cap;
                for (int64_t j = begin; j < range.end; j += kLanes) {
                    const V t = (adds() ? load(again + j) - added(i, j) : load(again + j)) * within;
                    store(ds + j, load(p + j) * (load(dp + j) - mean) * (1 - t * t) * a_.scale);
                }
            } else {
                for (int64_t j = begin; j < range.end; j += kLanes)
                    store(ds + j, load(p + j) * (load(dp + j) - mean) * a_.scale);
            }
            if (d_key_bias_) add_gradients(range, dp, mean, p, d_key_bias_);
            if (d_distance_bias_) add_gradients(range, dp, mean, p, d_distance_bias_ + shift(i));
        } else {
            clear_unseen(i, p);
        }
        clear_unseen(i, ds);
    }

    static void write(const C* from, S* to, int64_t count) {
        int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
        for (; i < count; ++i) from_compute(from[i], to[i]);
    }

 private:
    int64_t position(int64_t i) const { return a_.mask.keys - a_.mask.queries + i; }
    V distance(int64_t i, int64_t j) const { return C(position(part_.first + i)) - load(places_ + j); }
    // Row by distance of query i's key 0.
    int64_t shift(int64_t i) const { return part_.queries - 1 - i; }
    bool adds() const { return places_ || key_bias_ || distance_bias_; }
    // What scores of query i gain after the cap.
    V added(int64_t i, int64_t j) const {
        V sum = V{};
        if (places_) sum -= distance(i, j) * slope_;
        if (key_bias_) sum += load(key_bias_ + j) - C(of_keys_[position(part_.first + i)] - reference_);
        if (distance_bias_) sum += load(distance_bias_ + shift(i) + j);
        return sum;
    }
    static void add_gradients(KeyRange range, const C* dp, C mean, const E* p, C* to) {
        for (int64_t j = range.begin / kLanes * kLanes; j < range.end; j += kLanes)
            store(to + j, load(to + j) + load(p + j) * (load(dp + j) - mean));
    }
    S* kept(int64_t i) const { return a_.probabilities + number(i) * attention_row(part_.keys); }

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
        if (!part_.hidden) return;
        for (int64_t j = range.begin; j < range.end; ++j)
            if (part_.hidden[j]) row[j] = T{};
    }

    // Scores that must not count become the lowest, up to whole vectors; returns where the vectors begin.
    int64_t mark_unseen(KeyRange range, C* scores) const {
        const int64_t begin = range.begin / kLanes * kLanes;
        for (int64_t j = begin; j < range.begin; ++j) scores[j] = C(kNothing);
        for (int64_t j = range.end; j % kLanes; ++j) scores[j] = C(kNothing);
        for (int64_t j = range.begin; part_.hidden && j < range.end; ++j)
            if (part_.hidden[j]) scores[j] = C(kNothing);
        return begin;
    }

    // Of whole vectors; two chains of comparisons hide their latency.
    static C highest_of(const C* scores, int64_t begin, int64_t end) {
        V best = broadcast(C(kNothing)), other = best;
        int64_t j = begin;
        for (; j + 3 * kLanes < end; j += 4 * kLanes) {
            best = max(best, max(load(scores + j), load(scores + j + kLanes)));
            other = max(other, max(load(scores + j + 2 * kLanes), load(scores + j + 3 * kLanes)));
        }
        for (; j < end; j += kLanes) best = max(best, load(scores + j));
        return highest(max(best, other));
    }

    // The probabilities of query i, kept or from its scores in `again`.
    void probabilities(int64_t i, KeyRange range, const C* again, E* p) const {
        if (a_.probabilities) {
            const S* from = kept(i);
            convert(from + range.begin, p + range.begin, range.end - range.begin);
        } else {
            const C lse = a_.lse[number(i)], scale = bent() ? C(1) : a_.scale;
            for (int64_t j = range.begin / kLanes * kLanes; j < range.end; j += kLanes)
                store(p + j, exp(load(again + j) * scale - lse));
        }
        clear_unseen(i, p);
        for (int64_t j = range.begin / kLanes * kLanes; j < range.begin; ++j) p[j] = E{};
        for (int64_t j = range.end; j % kLanes; ++j) p[j] = E{};  // dp may hold anything there
    }

    const AttentionForward<S>& a_;
    HeadPart part_;
    int64_t task_, b_;
    C* places_;
    C slope_;
    C *key_bias_, *distance_bias_, *d_key_bias_, *d_distance_bias_;
    const double* of_keys_;
    double reference_ = 0;
    Span block_;
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
