// Hashed n-gram embeddings: what stood just before a token, looked up instead of computed (Pagnoni et al. 2024, "Byte
// Latent Transformer", section 3.2.1; hashing as in Svenstrup et al. 2017).
//
//   row_n(t) = hash(x_{t-n+1} ... x_t) mod rows          n of L lengths, the longest N
//   e_t = W [table_n[row_n(t)] for each n]               tables [L][rows][width], W [d][L width]
//
// The last N-1 tokens are state, so that segments of a stream join; a document's reset forgets them.
#pragma once

#include <vector>

#include "lithe/nn/step_program.h"

namespace lithe {

struct NgramOptions {
    std::vector<int64_t> lengths;  // rising, from 2 on; none: no n-grams
    int64_t rows = 65536;
    int64_t width = 64;
};

class NgramEmbedding {
 public:
    NgramEmbedding() = default;
    NgramEmbedding(ParameterStore& store, const NgramOptions& options, int64_t model_width);
    double flops_per_token() const { return 2 * double(tables()) * double(options_.width) * double(model_width_); }
    explicit operator bool() const { return tables() > 0; }

    // Rows of the tables for one more token. seen: the last N-1 ids, `stride` apart, newest first; updated.
    void rows_of(int64_t id, int64_t* seen, int64_t stride, int64_t* rows) const;
    // One step: adds the looked-up embedding to x [rows][d]. `tokens` [rows] and `seen` [rows][N-1] are read when it
    // runs.
    void add_step(StepProgram& program, const int64_t* tokens, int64_t* seen, float* x) const;
    int64_t history() const { return options_.lengths.back() - 1; }

    // ids [T][B]; flags: bits of base/position_flags.h, or undefined; before, after: the last N-1 ids [N-1][B], -1 for
    // none.
    Tensor operator()(const Tensor& ids_TB, const Tensor& flags_TB, const Tensor& before, Tensor& after) const;

 private:
    int64_t tables() const { return int64_t(options_.lengths.size()); }

    NgramOptions options_;
    int64_t model_width_ = 0;
    Parameter table_, projection_;
};

}  // namespace lithe
