// Included as vec.h is.
#pragma once

#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// log(y) for normal y > 0, relative error below 3e-7: y = 2^n (1 + f) with 1 + f in [1 / sqrt(2), sqrt(2)) and a
// polynomial whose error is spread evenly.
inline VecF log(VecF y) {
    constexpr float kParts[8] = {-0.0736424078f, 0.126208461f, -0.13201818f,  0.142270271f,
                                 -0.166213923f,  0.199998303f, -0.250008513f, 0.33333354f};
    constexpr int32_t kRootOfHalf = 0x3F3504F3, kMantissa = 0x007FFFFF;
    const VecI shifted = (VecI)y - kRootOfHalf;
    const VecF n = __builtin_convertvector(shifted >> 23, VecF);
    const VecF f = (VecF)((shifted & kMantissa) + kRootOfHalf) - 1.0f;
    VecF p = f * kParts[0] + kParts[1];
    for (int i = 2; i < 8; ++i) p = p * f + kParts[i];
    const VecF square = f * f;
    return n * 0.693147181f + (f + square * (p * f - 0.5f));
}

// log(1 + e) for e >= 0; near 0 its error is absolute, of the size of 1's last bit.
inline VecF log_one_plus(VecF e) { return log(1 + e); }
inline VecD log_one_plus(VecD e) {
    VecD result{};
    for (int i = 0; i < kLanes; ++i) result[i] = __builtin_log1p(e[i]);
    return result;
}

template <class V> inline V log_sigmoid(V x) { return min(x, V{}) - log_one_plus(exp(min(x, -x))); }

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
