// Compiled once per instruction set.
#include "lithe/kernels/optimizer/optimizer_range.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline void store_working(bfloat16* p, VecF w) { store(p, w); }
inline void store_working(bfloat16* p, VecD w) { store(p, __builtin_convertvector(w, VecF)); }

template <class C, bool kSecond, bool kAdaptive> void update(const UpdateArgs<C>& a, int64_t begin, int64_t end) {
    using V = Vec<C>;
    const UpdateRule& rule = a.rule;
    const C scale = C(rule.gradient_scale), l2 = C(rule.l2), m_decay = C(rule.m_decay), m_gain = C(rule.m_gain);
    const C v_decay = C(rule.v_decay), v_gain = C(1 - rule.v_decay), step = C(rule.step), v_scale = C(rule.v_scale);
    const C epsilon = C(rule.epsilon), decay = C(rule.decay);
    for (int64_t i = begin; i < end; i += kLanes) {
        const int64_t left = end - i;
        const bool whole = left >= kLanes;
        V w = whole ? load(a.weight + i) : load_part(a.weight + i, left);
        V g = (whole ? load(a.gradient + i) : load_part(a.gradient + i, left)) * scale + w * l2;
        V m = (whole ? load(a.m + i) : load_part(a.m + i, left)) * m_decay + g * m_gain;
        V change = m * step;
        if constexpr (kSecond) {
            V v = (whole ? load(a.v + i) : load_part(a.v + i, left)) * v_decay + g * g * v_gain;
            if constexpr (kAdaptive) change = change / (square_root(v) * v_scale + epsilon);
            if (whole) store(a.v + i, v);
            else store_part(a.v + i, v, left);
        }
        w = w - w * decay - change;
        if (whole) {
            store(a.weight + i, w);
            store(a.m + i, m);
            if (a.working) store_working(a.working + i, w);
        } else {
            store_part(a.weight + i, w, left);
            store_part(a.m + i, m, left);
            for (int64_t j = 0; a.working && j < left; ++j) from_compute(float(w[int(j)]), a.working[i + j]);
        }
    }
}

// A register of fp64: the compiler keeps a VecD, which takes two, in memory.
constexpr int kWide = kLanes / 2;
using Sums = double __attribute__((vector_size(4 * LITHE_LANES)));
inline Sums widened(const float* p) {
#if defined(__AVX512F__)
    return (Sums)_mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif defined(__AVX2__)
    return (Sums)_mm256_cvtps_pd(_mm_loadu_ps(p));
#else
    float __attribute__((vector_size(2 * LITHE_LANES))) numbers;
    __builtin_memcpy(&numbers, p, sizeof numbers);
    return __builtin_convertvector(numbers, Sums);
#endif
}
inline Sums widened(const double* p) {
    Sums numbers;
    __builtin_memcpy(&numbers, p, sizeof numbers);
    return numbers;
}

}  // namespace

template <class C> void optimizer_range(const UpdateArgs<C>& a, int64_t begin, int64_t end) {
    if (a.rule.adaptive) return update<C, true, true>(a, begin, end);
    return a.rule.second_moment ? update<C, true, false>(a, begin, end) : update<C, false, false>(a, begin, end);
}

template <class C> double sum_of_squares_range(const C* values, int64_t count) {
    constexpr int kSums = 4;
    Sums sums[kSums] = {};
    int64_t i = 0;
    for (; i + kSums * kWide <= count; i += kSums * kWide)
#pragma GCC unroll 4
        for (int s = 0; s < kSums; ++s) {
            const Sums wide = widened(values + i + s * kWide);
            sums[s] += wide * wide;
        }
    double total = 0;
    for (const Sums& each : sums)
        for (int n = 0; n < kWide; ++n) total += each[n];
    for (; i < count; ++i) total += double(values[i]) * double(values[i]);
    return total;
}

template void optimizer_range<float>(const UpdateArgs<float>&, int64_t, int64_t);
template void optimizer_range<double>(const UpdateArgs<double>&, int64_t, int64_t);
template double sum_of_squares_range<float>(const float*, int64_t);
template double sum_of_squares_range<double>(const double*, int64_t);

}  // namespace lithe::kernels::LITHE_ISA
