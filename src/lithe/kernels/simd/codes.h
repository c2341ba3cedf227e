// int8 codes as vectors; included as vec.h is.
#pragma once

#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline VecF load(const int8_t* p) {
#if defined(__AVX512F__)
    return (VecF)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
    return (VecF)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
    VecF v;
    for (int i = 0; i < kLanes; ++i) v[i] = float(p[i]);
    return v;
#endif
}

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
