// What is written of a chunk where it depends on what is read: a triangular system, solved row by row. Compiled once
// per instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/matrix_state/delta_state_heads.h"
#include "lithe/kernels/matrix_state/matrix_state_backward.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// A task's working memory beside Memory. Null pointers count bytes.
template <class S> struct CorrectedMemory {
    using C = Compute<S>;
    using E = Element<S>;
    Arena arena;
    C* beta;           // zeros at padded steps
    C* scores;         // [chunk][chunk]: of readers and written keys, with the decay between, for j <= i
    C *lacks, *wrote;  // values less what was read; by beta, what is written
    E* wrote_rows;     // the same as operands
    // backward
    C *d_read = nullptr, *d_scores = nullptr, *d_beta = nullptr;  // of what was read, of scores
    E* d_read_rows = nullptr;

    CorrectedMemory(const Sizes<S>& n, bool backward, char* begin) : arena(begin) {
        const int64_t values = n.rows * n.value_row, scores_size = n.rows * n.row;
        beta = arena.take<C>(n.rows);
        scores = arena.take<C>(scores_size);
        lacks = arena.take<C>(values);
        wrote = arena.take<C>(values);
        wrote_rows = arena.take<E>(values);
        if (!backward) return;
        d_read = arena.take<C>(values);
        d_scores = arena.take<C>(scores_size);
        d_beta = arena.take<C>(n.rows);
        d_read_rows = arena.take<E>(values);
    }
};

template <class S> int64_t bytes_before(const MatrixStateShape& shape, bool backward) {
    return Memory<S>(Sizes<S>(shape), shape.decay == StateDecay::channel, backward, nullptr).bytes;
}

// On a walk by chunks: Chunk or Backward.
template <class S, class Walk> class Corrected : protected Walk {
 public:
    using C = Compute<S>;
    using V = Vec<C>;
    using E = Element<S>;

    // `scratch`: behind the walk's own.
    template <class... Args>
    explicit Corrected(char* scratch, const Args&... args) : Walk(args...),
                                                             d_(this->n_, this->backward_, scratch) {}

 protected:
    using Walk::count_;
    using Walk::m_;
    using Walk::n_;

    // From `lacks`, less what the chunk's own steps read of each other: lacks, wrote.
    void correct() const {
        value_slabs([this](auto vectors, int64_t n) { this->solve<decltype(vectors)::value>(n); });
    }
    // From gradients of what is written, in `out`: d_read and d_beta.
    void correct_back() const {
        __builtin_memset(d_.d_beta, 0, size_t(n_.rows) * sizeof(C));
        value_slabs([this](auto vectors, int64_t n) { this->solve_back<decltype(vectors)::value>(n); });
    }

    // What is written, packed as Walk packs values.
    void pack_wrote_sums(const Writes<S>& to) const {
        pack_sum_rows<E>(count_, n_.value, value_rows(d_.wrote_rows), to.value_sums);
    }
    void pack_wrote_columns(const Writes<S>& to) const {
        pack_column_rows<E>(n_.value, count_, value_rows(d_.wrote_rows), to.value_columns);
    }
    // Adds what gradients of the queries' scores and of those of what reads before it is written make of theirs.
    void all_score_gradients(const Readers<S>& reads, const Writes<S>& writes) const {
        this->product_of_values(m_.d_out_a, n_.value_length, writes, m_.d_scores);
        this->product_of_values(d_.d_read_rows, n_.value_row, writes, d_.d_scores);
        for (int64_t i = 0; i < count_; ++i) d_.d_scores[i * n_.row + i] = 0;
        this->score_gradients({{&m_.queries, m_.d_scores}, {&reads, d_.d_scores}}, writes);
    }
    template <class T> auto value_rows(const T* from) const {
        return [this, from](int64_t i) { return from + i * n_.value_row; };
    }

    CorrectedMemory<S> d_;

 private:
    static constexpr int64_t kRows = 4;  // that are solved at a time; scratch has room for whole ones

    // Calls work(vectors, first number) for stretches of a value's row, `vectors` a constant.
    template <class Work> void value_slabs(const Work& work) const {
        int64_t n = 0;
        for (; n + kTileVectors * kLanes <= n_.value_row; n += kTileVectors * kLanes)
            work(std::integral_constant<int, kTileVectors>(), n);
        for (; n < n_.value_row; n += kLanes) work(std::integral_constant<int, 1>(), n);
    }

    // lacks_i -= sum over j < i of scores[i][j] wrote_j; wrote_i = beta_i lacks_i.
    template <int kVectors> void solve(int64_t n) const {
        for (int64_t first = 0; first < count_; first += kRows) {
            V rows[kRows][kVectors];
            const C* scores = d_.scores + first * n_.row;
            for (int64_t r = 0; r < kRows; ++r)
                for (int v = 0; v < kVectors; ++v)
                    rows[r][v] = load(d_.lacks + (first + r) * n_.value_row + n + v * kLanes);
            for (int64_t j = 0; j < first; ++j)
                for (int v = 0; v < kVectors; ++v) {
                    const V wrote = load(d_.wrote + j * n_.value_row + n + v * kLanes);
                    for (int64_t r = 0; r < kRows; ++r) rows[r][v] -= wrote * scores[r * n_.row + j];
                }
            for (int64_t r = 0; r < lower(kRows, count_ - first); ++r)
                for (int v = 0; v < kVectors; ++v) {
                    const int64_t at = (first + r) * n_.value_row + n + v * kLanes;
                    const V wrote = rows[r][v] * d_.beta[first + r];
                    store(d_.lacks + at, rows[r][v]);
                    store(d_.wrote + at, wrote);
                    store(d_.wrote_rows + at, wrote);
                    for (int64_t later = r + 1; later < kRows; ++later)
                        rows[later][v] -= wrote * scores[later * n_.row + first + r];
                }
        }
    }

    // du_i += sum over l > i of scores[l][i] d_read_l; d_read_i = -beta_i du_i; d_beta_i = du_i . lacks_i.
    template <int kVectors> void solve_back(int64_t n) const {
        for (int64_t first = (count_ - 1) / kRows * kRows; first >= 0; first -= kRows) {
            V rows[kRows][kVectors];
            const C* scores = d_.scores + first;
            for (int64_t r = 0; r < kRows; ++r)
                for (int v = 0; v < kVectors; ++v)
                    rows[r][v] = load(m_.out + (first + r) * n_.value_row + n + v * kLanes);
            for (int64_t l = first + kRows; l < count_; ++l)
                for (int v = 0; v < kVectors; ++v) {
                    const V d_read = load(d_.d_read + l * n_.value_row + n + v * kLanes);
                    for (int64_t r = 0; r < kRows; ++r) rows[r][v] += d_read * scores[l * n_.row + r];
                }
            for (int64_t r = lower(kRows, count_ - first) - 1; r >= 0; --r) {
                V total = V{};
                for (int v = 0; v < kVectors; ++v) {
                    const int64_t at = (first + r) * n_.value_row + n + v * kLanes;
                    const V d_read = rows[r][v] * -d_.beta[first + r];
                    total += rows[r][v] * load(d_.lacks + at);
                    store(d_.d_read + at, d_read);
                    store(d_.d_read_rows + at, d_read);
                    for (int64_t earlier = 0; earlier < r; ++earlier)
                        rows[earlier][v] += d_read * scores[(first + r) * n_.row + earlier];
                }
                d_.d_beta[first + r] += sum(total);
            }
        }
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
