// Scalar types of kernels. State and accumulation use Compute<Storage>: fp32 for bf16 and fp32 storage, fp64 for fp64.
#pragma once

#include <cstdint>

namespace lithe::kernels {

struct bfloat16 {
    uint16_t bits;
};

template <class Storage> struct ComputeOf { using type = float; };
template <> struct ComputeOf<double> { using type = double; };
template <class Storage> using Compute = typename ComputeOf<Storage>::type;

static inline float to_compute(bfloat16 value) {
    uint32_t bits = uint32_t(value.bits) << 16;
    float result;
    __builtin_memcpy(&result, &bits, 4);
    return result;
}
static inline float to_compute(float value) { return value; }
static inline double to_compute(double value) { return value; }

// Round to nearest, ties to even; NaN stays NaN.
static inline void from_compute(float value, bfloat16& out) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) out.bits = uint16_t((bits >> 16) | 0x40);
    else out.bits = uint16_t((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}
static inline void from_compute(float value, float& out) { out = value; }
static inline void from_compute(double value, double& out) { out = value; }

}  // namespace lithe::kernels
