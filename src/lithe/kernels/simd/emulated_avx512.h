// The AVX-512 instructions that the kernels use, a lane at a time, so that their branches for them run and are tested
// on machines that have AVX2 only (./dev emulate). There it is put in front of the *_cpu.cpp files; a release has it
// nowhere. What each does: Intel, "Intrinsics Guide"; bf16 sums flush subnormal numbers and add the odd product first.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace lithe::emulated {
namespace {

using Floats = float __attribute__((vector_size(64)));
using Doubles = double __attribute__((vector_size(64)));
using Ints = int32_t __attribute__((vector_size(64)));
using Words = uint16_t __attribute__((vector_size(64)));
using HalfWords = uint16_t __attribute__((vector_size(32)));
using HalfBytes = int8_t __attribute__((vector_size(32)));
using QuarterBytes = int8_t __attribute__((vector_size(16)));

// A vector of 64 or 32 bytes, of_lane(i) in lane i.
template <class V, class F> inline V lanes(const F& of_lane) {
    V v{};
    for (size_t i = 0; i < sizeof(V) / sizeof(v[0]); ++i) v[i] = of_lane(i);
    return v;
}

inline __m512 max_ps(__m512 a, __m512 b) {
    return (__m512)lanes<Floats>([&](size_t i) { return a[i] > b[i] ? a[i] : b[i]; });
}
inline __m512 min_ps(__m512 a, __m512 b) {
    return (__m512)lanes<Floats>([&](size_t i) { return a[i] < b[i] ? a[i] : b[i]; });
}
inline float reduce_max_ps(__m512 v) {
    float best = v[0];
    for (int i = 1; i < 16; ++i) best = best > v[i] ? best : v[i];
    return best;
}
inline float reduce_add_ps(__m512 v) {
    float sums[16];
    __builtin_memcpy(sums, &v, sizeof v);
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
    return sums[0];
}
inline int32_t reduce_add_epi32(__m512i v) {
    int32_t total = 0;
    for (int i = 0; i < 16; ++i) total += ((Ints)v)[i];
    return total;
}
// a 2^floor(b)
inline __m512 scalef_ps(__m512 a, __m512 b) {
    return (__m512)lanes<Floats>([&](size_t i) {
        if (std::isnan(b[i])) return b[i];
        return std::ldexp(a[i], int(std::floor(std::fmin(std::fmax(b[i], -400.0f), 400.0f))));
    });
}
// 1 / v with the largest error that the instruction may have, 2^-14 of the result
inline __m512 rcp14_ps(__m512 v) {
    return (__m512)lanes<Floats>([&](size_t i) { return (1 - 0x1p-14f) / v[i]; });
}

inline __m512i add_epi32(__m512i a, __m512i b) { return (__m512i)((Ints)a + (Ints)b); }
inline __m512i set1_epi32(int32_t value) {
    return (__m512i)lanes<Ints>([&](size_t) { return value; });
}
// Products of pairs of neighbours, added.
inline __m512i madd_epi16(__m512i a, __m512i b) {
    const auto at = [](__m512i v, size_t i) { return int32_t(int16_t(((Words)v)[i])); };
    return (__m512i)lanes<Ints>(
        [&](size_t i) { return at(a, 2 * i) * at(b, 2 * i) + at(a, 2 * i + 1) * at(b, 2 * i + 1); });
}
inline __m512i dpwssd_epi32(__m512i sum, __m512i a, __m512i b) { return add_epi32(sum, madd_epi16(a, b)); }

inline __m512i cvtepu16_epi32(__m256i v) {
    return (__m512i)lanes<Ints>([&](size_t i) { return int32_t(((HalfWords)v)[i]); });
}
inline __m512i cvtepi8_epi32(__m128i v) {
    return (__m512i)lanes<Ints>([&](size_t i) { return int32_t(((QuarterBytes)v)[i]); });
}
inline __m512i cvtepi8_epi16(__m256i v) {
    return (__m512i)lanes<Words>([&](size_t i) { return uint16_t(int16_t(((HalfBytes)v)[i])); });
}
inline __m256i cvtepi32_epi16(__m512i v) {
    return (__m256i)lanes<HalfWords>([&](size_t i) { return uint16_t(((Ints)v)[i]); });
}
inline __m512 cvtepi32_ps(__m512i v) {
    return (__m512)lanes<Floats>([&](size_t i) { return float(((Ints)v)[i]); });
}
inline __m512i cvtps_epi32(__m512 v) {
    return (__m512i)lanes<Ints>([&](size_t i) {
        const bool fits = v[i] >= -0x1p31f && v[i] < 0x1p31f;
        return fits ? int32_t(std::nearbyint(v[i])) : std::numeric_limits<int32_t>::min();
    });
}
inline __m512d cvtps_pd(__m256 v) {
    return (__m512d)lanes<Doubles>([&](size_t i) { return double(v[i]); });
}

inline __m512i loadu_si512(const void* p) {
    __m512i v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
// What the mask leaves out is neither read nor written.
inline __m512i maskz_loadu_epi16(__mmask32 mask, const void* p) {
    const auto* words = static_cast<const uint8_t*>(p);
    return (__m512i)lanes<Words>([&](size_t i) {
        uint16_t word = 0;
        if (mask >> i & 1) __builtin_memcpy(&word, words + 2 * i, 2);
        return word;
    });
}
inline __m256i maskz_loadu_epi8(__mmask32 mask, const void* p) {
    const auto* bytes = static_cast<const int8_t*>(p);
    return (__m256i)lanes<HalfBytes>([&](size_t i) { return mask >> i & 1 ? bytes[i] : int8_t(0); });
}
inline void mask_storeu_epi32(void* p, __mmask8 mask, __m256i v) {
    for (size_t i = 0; i < 8; ++i)
        if (mask >> i & 1)
            __builtin_memcpy(static_cast<uint8_t*>(p) + 4 * i, reinterpret_cast<const uint8_t*>(&v) + 4 * i, 4);
}

inline float widened(uint16_t bf16) {
    const uint32_t bits = uint32_t(bf16 & (bf16 & 0x7F80 ? 0xFFFF : 0x8000)) << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
inline __m256bh cvtneps_pbh(__m512 v) {
    const auto bits = (Ints)v;
    return (__m256bh)lanes<HalfWords>([&](size_t i) {
        const auto b = uint32_t(bits[i]);
        if (std::isnan(v[i])) return uint16_t(b >> 16 | 0x40);
        if ((b & 0x7F800000) == 0) return uint16_t(b >> 16 & 0x8000);
        return uint16_t((b + 0x7FFF + (b >> 16 & 1)) >> 16);
    });
}
inline __m512 dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
    const auto normal = [](float x) {
        return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
    };
    const auto at = [](__m512bh v, size_t i) { return widened(((Words)v)[i]); };
    return (__m512)lanes<Floats>([&](size_t i) {
        const float odd = normal(std::fma(at(a, 2 * i + 1), at(b, 2 * i + 1), normal(sum[i])));
        return normal(std::fma(at(a, 2 * i), at(b, 2 * i), odd));
    });
}

}  // namespace
}  // namespace lithe::emulated

#define __AVX512F__ 1
#define _mm512_max_ps ::lithe::emulated::max_ps
#define _mm512_min_ps ::lithe::emulated::min_ps
#define _mm512_reduce_max_ps ::lithe::emulated::reduce_max_ps
#define _mm512_reduce_add_ps ::lithe::emulated::reduce_add_ps
#define _mm512_reduce_add_epi32 ::lithe::emulated::reduce_add_epi32
#define _mm512_scalef_ps ::lithe::emulated::scalef_ps
#define _mm512_rcp14_ps ::lithe::emulated::rcp14_ps
#define _mm512_add_epi32 ::lithe::emulated::add_epi32
#define _mm512_set1_epi32 ::lithe::emulated::set1_epi32
#define _mm512_madd_epi16 ::lithe::emulated::madd_epi16
#define _mm512_cvtepu16_epi32 ::lithe::emulated::cvtepu16_epi32
#define _mm512_cvtepi8_epi32 ::lithe::emulated::cvtepi8_epi32
#define _mm512_cvtepi8_epi16 ::lithe::emulated::cvtepi8_epi16
#define _mm512_cvtepi32_epi16 ::lithe::emulated::cvtepi32_epi16
#define _mm512_cvtepi32_ps ::lithe::emulated::cvtepi32_ps
#define _mm512_cvtps_epi32 ::lithe::emulated::cvtps_epi32
#define _mm512_cvtps_pd ::lithe::emulated::cvtps_pd
#define _mm512_loadu_si512 ::lithe::emulated::loadu_si512
#define _mm512_maskz_loadu_epi16 ::lithe::emulated::maskz_loadu_epi16
#define _mm256_maskz_loadu_epi8 ::lithe::emulated::maskz_loadu_epi8
#define _mm256_mask_storeu_epi32 ::lithe::emulated::mask_storeu_epi32
#if LITHE_EMULATE_BF16
#define __AVX512BF16__ 1
#define __AVX512VNNI__ 1
#define _mm512_dpwssd_epi32 ::lithe::emulated::dpwssd_epi32
#define _mm512_cvtneps_pbh ::lithe::emulated::cvtneps_pbh
#define _mm512_dpbf16_ps ::lithe::emulated::dpbf16_ps
#endif
