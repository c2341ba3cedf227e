// Packing a state as pairs of bf16. Compiled once per instruction set, inside its namespace.
#pragma once

#include "lithe/kernels/simd/product.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

#if defined(__AVX512BF16__)
// As bf16, in the low halves.
inline VecU halves_of(VecF v) { return (VecU)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); }

// Packs state[keys][row] into `to`, as pack_sum_rows does, and lets it decay in the same pass: channel c keeps
// left_of(c), and all of it where `even`. Columns behind the last vector are not read by products.
template <class E, class LeftOf>
void pack_pairs_and_decay(float* state, int64_t keys, int64_t row, bool even, const LeftOf& left_of, E* into) {
    const int64_t panel = round_up(keys, 2) * kPanel;
    for (int64_t c = 0; c < keys; c += 2) {
        float* rows[2] = {state + c * row, state + (c + 1) * row};
        const bool both = c + 1 < keys;
        const float left[2] = {left_of(c), both ? left_of(c + 1) : 1.0f};
        E* to = into + c * kPanel;
        for (int64_t n = 0; n < row; n += kLanes) {
            const VecF low = load(rows[0] + n), high = both ? load(rows[1] + n) : VecF{};
            const VecU pairs = halves_of(low) | halves_of(high) << 16;
            __builtin_memcpy(to + n / kPanel * panel + n % kPanel * 2, &pairs, sizeof pairs);
            if (even) continue;
            store(rows[0] + n, low * left[0]);
            if (both) store(rows[1] + n, high * left[1]);
        }
    }
}
#endif

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
