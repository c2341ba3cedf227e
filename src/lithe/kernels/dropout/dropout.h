// Dropout by counter (Srivastava et al. 2014): element i is kept iff 16 random bits number i of stream `key` are at
// least p, and then scaled by 1/(1-p), p rounded to a multiple of 2^-16. A pure function of (key, i): the backward
// pass, a recomputation and a resumed run draw the same mask, and nothing is stored.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class S> struct DropoutArgs {
    const S* in = nullptr;
    S* out = nullptr;  // may be `in`
    int64_t count = 0;
    double probability = 0;
    uint64_t key = 0;
    const uint64_t* salt = nullptr;  // xored into the key; in the memory that `in` is in; null: none
    uint64_t mask() const { return salt ? key ^ *salt : key; }
};

// 0 or 1/(1-p) for element i.
double dropout_factor(uint64_t key, int64_t index, double probability);
template <class S> void dropout_ref(const DropoutArgs<S>& args);
template <class S> void dropout(const DropoutArgs<S>& args);

}  // namespace lithe::kernels
