// Dropout by counter (Srivastava et al. 2014) of x [outer][rows][inner], whose middle axis is the batch, or of
// attention weights [rows][heads][steps][inner]. Row r has the number R = first_row + r in the update. An element is
// kept iff 16 random bits of stream combine_key(key, R) are at least p, and then scaled by 1/(1-p), p rounded to a
// multiple of 2^-16. They are those with number i of a run of `inner`, which begins at a word of the stream
// (base/rng.h: four times 16 bits): at word o * ceil(inner / 4), or at kHeadWords * h + kStepWords * t for the weights
// of a query. So a mask is a pure function of the element's place and not of the axes' lengths, but for `inner` of x:
// the backward pass, a recomputation and a resumed run draw the same one, a row gets the same one however the batch is
// cut into parts or micro-batches and however far it is padded, and nothing is stored.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

// Words between two queries, and between two heads: as many as 2^24 keys and as many queries need.
constexpr uint64_t kStepWords = uint64_t(1) << 22, kHeadWords = kStepWords << 24;

template <class S> struct DropoutArgs {
    const S* in = nullptr;
    S* out = nullptr;                                              // may be `in`
    int64_t outer = 1, rows = 1, heads = 1, steps = 1, inner = 0;  // outer is 1 where heads or steps are more
    int64_t first_row = 0;
    double probability = 0;
    uint64_t key = 0;
    const uint64_t* salt = nullptr;  // xored into the key; in the memory that `in` is in; null: none
    uint64_t mask() const { return salt ? key ^ *salt : key; }
    int64_t lines() const { return heads * steps; }
    int64_t count() const { return outer * rows * lines() * inner; }
};

// 0 or 1/(1-p) for element `index` of the stream of row number `row`.
double dropout_factor(uint64_t key, int64_t row, uint64_t index, double probability);
template <class S> void dropout_ref(const DropoutArgs<S>& args);
template <class S> void dropout(const DropoutArgs<S>& args);

}  // namespace lithe::kernels
