// Dropout by counter (Srivastava et al. 2014) of x [outer][rows][inner], whose middle axis is the batch. Row r has the
// number R = first_row + r in the update. Element (o, r, i) is kept iff 16 random bits number
// o * round_up(inner, 4) + i of stream combine_key(key, R) are at least p, and then scaled by 1/(1-p), p rounded to a
// multiple of 2^-16. A pure function of (key, R, o, i): the backward pass, a recomputation and a resumed run draw the
// same mask, a row gets the same one however the batch is cut into parts or micro-batches, and nothing is stored. Runs
// of `inner` begin at a word of the stream (base/rng.h: four times 16 bits).
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class S> struct DropoutArgs {
    const S* in = nullptr;
    S* out = nullptr;  // may be `in`
    int64_t outer = 1, rows = 1, inner = 0;
    int64_t first_row = 0;
    double probability = 0;
    uint64_t key = 0;
    const uint64_t* salt = nullptr;  // xored into the key; in the memory that `in` is in; null: none
    uint64_t mask() const { return salt ? key ^ *salt : key; }
    int64_t count() const { return outer * rows * inner; }
};

// 0 or 1/(1-p) for element `index` of the stream of row number `row`.
double dropout_factor(uint64_t key, int64_t row, int64_t index, double probability);
template <class S> void dropout_ref(const DropoutArgs<S>& args);
template <class S> void dropout(const DropoutArgs<S>& args);

}  // namespace lithe::kernels
