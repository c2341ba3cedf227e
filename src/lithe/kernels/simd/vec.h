// Vectors of LITHE_LANES floats (or doubles) on the compiler's vector extension, so that one source serves every
// instruction set. Included only by *_cpu.cpp files, which are compiled once per instruction set with LITHE_ISA naming
// a namespace of its own; nothing here has external linkage, so that the linker cannot mix the copies.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef LITHE_ISA
#error "compile with -DLITHE_ISA=portable, avx2 or avx512, and -DLITHE_LANES"
#endif

namespace lithe::kernels::LITHE_ISA {
namespace {

constexpr int kLanes = LITHE_LANES;

using VecF = float __attribute__((vector_size(4 * LITHE_LANES)));
using VecI = int32_t __attribute__((vector_size(4 * LITHE_LANES)));
using VecU = uint32_t __attribute__((vector_size(4 * LITHE_LANES)));
using VecH = uint16_t __attribute__((vector_size(2 * LITHE_LANES)));
using VecD = double __attribute__((vector_size(8 * LITHE_LANES)));

template <class C> struct VecOf;
template <> struct VecOf<float> { using type = VecF; };
template <> struct VecOf<double> { using type = VecD; };
template <class C> using Vec = typename VecOf<C>::type;

inline VecF load(const float* p) {
    VecF v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
inline VecD load(const double* p) {
    VecD v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
// kLanes 16-bit numbers, widened; the compiler's own conversion goes through halves of a register.
inline VecU load_halves(const void* p) {
#if defined(__AVX512F__)
    return (VecU)_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
#elif defined(__AVX2__)
    return (VecU)_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
#else
    VecH h;
    __builtin_memcpy(&h, p, sizeof h);
    return __builtin_convertvector(h, VecU);
#endif
}
inline VecF load(const bfloat16* p) { return (VecF)(load_halves(p) << 16); }
inline void store(float* p, VecF v) { __builtin_memcpy(p, &v, sizeof v); }
inline void store(double* p, VecD v) { __builtin_memcpy(p, &v, sizeof v); }
#if defined(__AVX512BF16__)
inline void store(bfloat16* p, VecF v) {
    __m256bh h = _mm512_cvtneps_pbh((__m512)v);  // subnormal numbers become 0
    __builtin_memcpy(p, &h, sizeof h);
}
#else
inline void store(bfloat16* p, VecF v) {
    VecU bits = (VecU)v;
    VecU rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    rounded = v != v ? ((bits >> 16) | 0x40u) : rounded;
#if defined(__AVX512F__)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16((__m512i)rounded));
#elif defined(__AVX2__)
    const __m256i all = (__m256i)rounded;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packus_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
#else
    VecH h = __builtin_convertvector(rounded, VecH);
    __builtin_memcpy(p, &h, sizeof h);
#endif
}
#endif

// Loads or stores the first `count` lanes; the others are 0.
template <class S> inline Vec<Compute<S>> load_part(const S* p, int64_t count) {
    S buffer[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
    return load(buffer);
}
template <class S> inline void store_part(S* p, Vec<Compute<S>> v, int64_t count) {
    S buffer[kLanes];
    store(buffer, v);
    for (int64_t i = 0; i < count; ++i) p[i] = buffer[i];
}

// Runs `whole` over full vectors of [begin, end) and `rest` over single elements.
template <class W, class R> inline void sweep(int64_t begin, int64_t end, const W& whole, const R& rest) {
    int64_t j = begin;
    for (; j + kLanes <= end; j += kLanes) whole(j);
    for (; j < end; ++j) rest(j);
}

// Calls step(element, how) on whole vectors of `count` elements and on what is left; how.get and how.put load and
// store.
struct Whole {
    template <class S> Vec<Compute<S>> get(const S* p) const { return load(p); }
    template <class S> void put(S* p, Vec<Compute<S>> v) const { store(p, v); }
};
struct Part {
    int64_t count;
    template <class S> Vec<Compute<S>> get(const S* p) const { return load_part(p, count); }
    template <class S> void put(S* p, Vec<Compute<S>> v) const { store_part(p, v, count); }
};
template <class F> inline void for_each_vector(int64_t count, const F& step) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) step(i, Whole{});
    if (i < count) step(i, Part{count - i});
}

template <class C> inline Vec<C> broadcast(C value) { return value - Vec<C>{}; }

// The larger of two; b where they cannot be compared.
template <class V> inline V max(V a, V b) { return a > b ? a : b; }
template <class V> inline V min(V a, V b) { return a < b ? a : b; }
#if defined(__AVX512F__)
inline VecF max(VecF a, VecF b) { return (VecF)_mm512_max_ps((__m512)a, (__m512)b); }
inline VecF min(VecF a, VecF b) { return (VecF)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__)
inline VecF max(VecF a, VecF b) { return (VecF)_mm256_max_ps((__m256)a, (__m256)b); }
inline VecF min(VecF a, VecF b) { return (VecF)_mm256_min_ps((__m256)a, (__m256)b); }
#endif

// Added and taken away again, it rounds to the nearest whole number; before, that stands in the lowest bits.
constexpr float kMagic = 12582912.0f;
#if defined(__FMA__)
constexpr float kLog2E = 1.44269504088896341f, kLog2ERest = 1.925963e-8f;
constexpr float kPower[6] = {0.0013264751f, 0.009671514f, 0.055507336f, 0.24022242f, 0.693147f, 1.0f};
// 2^n 2^f for whole n = shifted - kMagic and |f| <= 1/2; the polynomial's error is spread evenly (relative error below
// 2e-7).
inline VecF power_of_two(VecF shifted, VecF f) {
    VecF p = f * kPower[0] + kPower[1];
    for (int i = 2; i < 6; ++i) p = p * f + kPower[i];
#if defined(__AVX512F__)
    return (VecF)_mm512_scalef_ps((__m512)p, (__m512)(shifted - kMagic));
#else
    return (VecF)((VecI)p +
                  ((VecI)shifted << 23));  // n into the exponent; inexact below 2^-126, which only sigmoid meets
#endif
}
// exp(x); arguments outside [-87, 88] count as these. Needs fused multiply-add to be exact in f.
inline VecF exp(VecF x) {
    x = min(max(x, broadcast(-87.0f)), broadcast(88.0f));
    const VecF shifted = x * kLog2E + kMagic, n = shifted - kMagic;
    return power_of_two(shifted, x * kLog2ERest + (x * kLog2E - n));
}
#else
constexpr float kExp[4] = {0.0013863764515962729f, 0.008367474016430666f, 0.04166723773819536f, 0.16666534074193473f};
// The same by 2^n e^r with |r| <= ln2/2 taken off in two parts, for machines without fused multiply-add.
inline VecF exp(VecF x) {
    x = min(max(x, broadcast(-87.0f)), broadcast(88.0f));
    VecF shifted = x * 1.44269504088896341f + kMagic;
    VecF n = shifted - kMagic;
    VecF r = x - n * 0.693145751953125f;
    r = r - n * 1.42860682030941723e-6f;
    VecF p = r * kExp[0] + kExp[1];
    p = p * r + kExp[2];
    p = p * r + kExp[3];
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    VecI power = ((VecI)shifted - 0x4B400000 + 127) << 23;
    return p * (VecF)power;
}
#endif
inline VecD exp(VecD x) {
    VecD result{};
    for (int i = 0; i < kLanes; ++i) result[i] = __builtin_exp(x[i]);
    return result;
}
// 1 / x for x >= 1, to the last bit or the one before it; a division costs several times as much.
template <class V> inline V reciprocal(V x) { return 1 / x; }
#if defined(__AVX512F__)
inline VecF reciprocal(VecF x) {
    VecF y = (VecF)_mm512_rcp14_ps((__m512)x);
    return y + y * (1 - x * y);
}
#endif
template <class V> inline V sigmoid(V x) { return reciprocal(1 + exp(-x)); }
#if defined(__FMA__)
// Its error shrinks with the slope for large |x|, so that less care is enough than exp needs.
inline VecF sigmoid(VecF x) {
    x = min(broadcast(88.0f), max(broadcast(-87.0f), x));  // in this order NaN stays NaN
    const VecF shifted = x * -kLog2E + kMagic, n = shifted - kMagic;
    return reciprocal(1 + power_of_two(shifted, x * -kLog2E - n));
}
#endif

// Near 0 its error is absolute, of the size of 1's last bit.
template <class V> inline V tanh(V x) { return 2 * sigmoid(2 * x) - 1; }

#if defined(__AVX512F__)
inline float sum(VecF v) { return _mm512_reduce_add_ps((__m512)v); }
inline float highest(VecF v) { return _mm512_reduce_max_ps((__m512)v); }
#endif
template <class V> inline auto sum(V v) {
    auto total = v[0];
    for (int i = 1; i < kLanes; ++i) total += v[i];
    return total;
}
template <class V> inline auto highest(V v) {
    auto best = v[0];
    for (int i = 1; i < kLanes; ++i) best = v[i] > best ? v[i] : best;
    return best;
}
inline VecF square_root(VecF v) {
    VecF r;
    for (int i = 0; i < kLanes; ++i) r[i] = __builtin_sqrtf(v[i]);
    return r;
}
inline VecD square_root(VecD v) {
    VecD r;
    for (int i = 0; i < kLanes; ++i) r[i] = __builtin_sqrt(v[i]);
    return r;
}

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
