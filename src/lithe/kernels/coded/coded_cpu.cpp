// Compiled once per instruction set.
#include "lithe/kernels/coded/coded_range.h"
#include "lithe/kernels/simd/codes.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

using VecB = int8_t __attribute__((vector_size(LITHE_LANES)));
constexpr bfloat16 kNotANumber{0x7FC0};

// Numbers between -127 and 127 to whole ones; the first `count` of them are kept.
inline void store_codes(int8_t* to, VecF numbers, int64_t count) {
    const VecI whole = (VecI)(numbers + kMagic) - (VecI)broadcast(kMagic);
    const auto narrow = __builtin_convertvector(whole, VecB);
    if (count >= kLanes) __builtin_memcpy(to, &narrow, sizeof narrow);
    else
        for (int64_t i = 0; i < count; ++i) to[i] = narrow[i];
}

// NaN where one of the numbers is not finite.
inline float largest_of(const float* x, int64_t width) {
    VecF largest{}, wrong{};
    for_each_vector(width, [&](int64_t j, auto how) {
        const VecF v = how.get(x + j);
        largest = max(largest, max(v, -v));
        wrong += v * 0;
    });
    const float fault = sum(wrong);
    return fault == 0 ? highest(largest) : fault;
}

}  // namespace

void encode_range(const EncodeRows& a, int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
        const float* x = a.from + a.rows[k] * a.width;
        const float largest = largest_of(x, a.width);
        const bool coded = largest >= kSmallestCoded;
        a.scales[k] = coded ? scale_of(largest) : largest != largest ? kNotANumber : bfloat16{};
        const float inverse = coded ? 1 / to_compute(a.scales[k]) : 0;
        for (int64_t j = 0; j < a.width; j += kLanes) {
            const int64_t left = a.width - j;
            const VecF v = left >= kLanes ? load(x + j) : load_part(x + j, left);
            store_codes(a.codes + k * a.width + j, coded ? v * inverse : VecF{}, left);
        }
    }
}

// Rows lie anywhere in a file that no cache holds: those ahead are asked for early.
void lookup_range(const LookupRows& a, int64_t begin, int64_t end) {
    constexpr int64_t kAhead = 8, kLine = 64;
    const int64_t width = a.table.width;
    for (int64_t i = begin; i < end; ++i) {
        if (i + kAhead < end) {
            const int64_t next = rank_of(a.table.blocks, a.rows[i + kAhead]);
            for (int64_t j = 0; next >= 0 && j < width; j += kLine)
                __builtin_prefetch(a.table.codes + next * width + j, 0);
        }
        const int64_t k = rank_of(a.table.blocks, a.rows[i]);
        float* to = a.to + i * width;
        if (k < 0) {
            for_each_vector(width, [&](int64_t j, auto how) { how.put(to + j, VecF{}); });
            continue;
        }
        const int8_t* codes = a.table.codes + k * width;
        const float scale = scale_at(a.table.scales, k);
        int64_t j = 0;
        for (; j + kLanes <= width; j += kLanes) store(to + j, load(codes + j) * scale);
        for (; j < width; ++j) to[j] = float(codes[j]) * scale;
    }
}

}  // namespace lithe::kernels::LITHE_ISA
