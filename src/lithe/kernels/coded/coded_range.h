// The parts of coded rows that are compiled per instruction set.
#pragma once

#include "lithe/kernels/coded/coded.h"
#include "lithe/kernels/dispatch.h"

namespace lithe::kernels {

constexpr float kSmallestCoded = 1e-35f;  // below, 1 / scale might not be a number

// The smallest bf16 number that is not below largest / 127.
static inline bfloat16 scale_of(float largest) {
    const float least = largest / 127;
    uint32_t bits;
    __builtin_memcpy(&bits, &least, 4);
    return {uint16_t((bits + 0xFFFFu) >> 16)};
}

static inline float scale_at(const void* scales, int64_t k) {
    bfloat16 scale;
    __builtin_memcpy(&scale, static_cast<const char*>(scales) + k * int64_t(sizeof scale), sizeof scale);
    return to_compute(scale);
}

// Rows [begin, end) of the list.
LITHE_DECLARE_ISAS(void encode_range(const EncodeRows& args, int64_t begin, int64_t end))
LITHE_DECLARE_ISAS(void lookup_range(const LookupRows& args, int64_t begin, int64_t end))

}  // namespace lithe::kernels
