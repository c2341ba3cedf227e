// Compiled once per instruction set. Four rows at a time share the vector that they are multiplied with.
#include <new>

#include "lithe/kernels/simd/codes.h"
#include "lithe/kernels/step/step_ranges.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

constexpr int kRows = 4;
constexpr int kTogether = 8;  // vectors of a mixture
// Weights are fetched this far ahead: the machine's own guess loses its way among kRows streams.
constexpr int64_t kAheadBytes = 8 << 10;

inline VecF load_weight(const float* p) { return load(p); }
inline VecF load_weight(const bfloat16* p) { return load(p); }
inline VecF load_weight(const int8_t* p) { return load(p); }
inline float number(float w) { return w; }
inline float number(bfloat16 w) { return to_compute(w); }
inline float number(int8_t w) { return float(w); }

// x[k ...], zeros from `columns` on.
inline VecF load_padded(const float* x, int64_t k, int64_t columns) {
    return k + kLanes <= columns ? load(x + k) : load_part(x + k, columns > k ? columns - k : 0);
}

template <class W> inline void fetch(const W* p) { __builtin_prefetch(p, 0, 2); }

// Products of kCount rows, `stride` apart, with x; two sums per row hide the latency of the additions. `ahead`: the
// distance in elements of what is fetched meanwhile.
template <int kCount, class W>
inline void dots(const W* weight, int64_t stride, int64_t columns, const float* x, float* out, int64_t ahead) {
    VecF first[kCount] = {}, second[kCount] = {};
    int64_t k = 0;
    for (; k + 2 * kLanes <= columns; k += 2 * kLanes) {
        const VecF x0 = load(x + k), x1 = load(x + k + kLanes);
        for (int r = 0; r < kCount; ++r) {
            const W* row = weight + r * stride + k;
            for (int64_t line = 0; line < 2 * kLanes * int64_t(sizeof(W)); line += 64)
                fetch(row + ahead + line / int64_t(sizeof(W)));
            first[r] += load_weight(row) * x0;
            second[r] += load_weight(row + kLanes) * x1;
        }
    }
    for (int r = 0; r < kCount; ++r) out[r] = sum(first[r] + second[r]);
    for (; k < columns; ++k)
        for (int r = 0; r < kCount; ++r) out[r] += number(weight[r * stride + k]) * x[k];
}

// x as a kind of weight wants it: x[k] for all k below a multiple of what one instruction takes.
template <class W> struct Input {
    const float* x;
    float scale = 1;  // of the sums
    Input(const float* from, int64_t, char*) : x(from) {}
    template <int kCount> void products(const W* weight, int64_t columns, float* out, int64_t ahead) const {
        dots<kCount>(weight, columns, columns, x, out, ahead);
    }
};

constexpr int64_t kWide = 2 * kLanes;  // of 16-bit numbers

#if defined(__AVX512BF16__)
// x as a sum of two bf16 numbers, so that the instruction for pairs loses next to nothing of it.
template <> struct Input<bfloat16> {
    bfloat16 *high, *low;
    float scale = 1;
    Input(const float* x, int64_t columns, char* scratch) {
        const int64_t padded = (columns + kWide - 1) / kWide * kWide;
        high = reinterpret_cast<bfloat16*>(scratch);
        low = high + padded;
        for (int64_t k = 0; k < padded; k += kLanes) {
            const VecF v = load_padded(x, k, columns);
            store(high + k, v);
            store(low + k, v - load(high + k));
        }
    }
    template <int kCount> void products(const bfloat16* weight, int64_t columns, float* out, int64_t ahead) const {
        VecF first[kCount] = {}, second[kCount] = {};
        for (int64_t k = 0; k < columns; k += kWide) {
            const __mmask32 there = columns - k < kWide ? (1u << (columns - k)) - 1 : ~0u;
            const __m512bh h = (__m512bh)_mm512_loadu_si512(high + k), l = (__m512bh)_mm512_loadu_si512(low + k);
            for (int r = 0; r < kCount; ++r) {
                fetch(weight + r * columns + k + ahead);
                const __m512bh w = (__m512bh)_mm512_maskz_loadu_epi16(there, weight + r * columns + k);
                first[r] = (VecF)_mm512_dpbf16_ps((__m512)first[r], w, h);
                second[r] = (VecF)_mm512_dpbf16_ps((__m512)second[r], w, l);
            }
        }
        for (int r = 0; r < kCount; ++r) out[r] = sum(first[r] + second[r]);
    }
};
#endif

#if defined(__AVX2__)
// kWide 16-bit numbers, multiplied with as many weights and added in pairs.
#if defined(__AVX512F__)
using Codes = __m512i;
inline Codes load_codes(const int16_t* p) { return _mm512_loadu_si512(p); }
// The first `count` weights; the others are 0.
inline Codes load_codes(const int8_t* p, int64_t count) {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(count < kWide ? (1u << count) - 1 : ~0u, p));
}
inline Codes add_products(Codes sum, Codes a, Codes b) {
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}
inline void store_codes(int16_t* p, VecF v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32((__m512)v)));
}
inline int32_t total(Codes v) { return _mm512_reduce_add_epi32(v); }
#else
using Codes = __m256i;
inline Codes load_codes(const int16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline Codes load_codes(const int8_t* p, int64_t count) {
    if (count >= kWide) return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    alignas(16) int8_t part[kWide] = {};
    __builtin_memcpy(part, p, size_t(count));
    return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(part)));
}
inline Codes add_products(Codes sum, Codes a, Codes b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
inline void store_codes(int16_t* p, VecF v) {
    const __m256i whole = _mm256_cvtps_epi32((__m256)v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
}
inline int32_t total(Codes v) {
    const VecI sums = (VecI)v;
    int32_t all = 0;
    for (int i = 0; i < kLanes; ++i) all += sums[i];
    return all;
}
#endif

// x as whole numbers, as large as their sums with int8 codes allow.
template <> struct Input<int8_t> {
    int16_t* codes;
    float scale;
    Input(const float* x, int64_t columns, char* scratch) {
        const int64_t padded = (columns + kWide - 1) / kWide * kWide;
        codes = reinterpret_cast<int16_t*>(scratch);
        VecF most{};
        for (int64_t k = 0; k < columns; k += kLanes) {
            const VecF v = load_padded(x, k, columns);
            most = max(max(v, -v), most);
        }
        const float largest = highest(most);
        const float bound = 2147483000.0f / (128.0f * float(columns)), top = bound < 32767 ? bound : 32767;
        scale = largest > 0 ? largest / __builtin_floorf(top) : 1;
        const float inverse = 1 / scale;
        for (int64_t k = 0; k < padded; k += kLanes) store_codes(codes + k, load_padded(x, k, columns) * inverse);
    }
    template <int kCount> void products(const int8_t* weight, int64_t columns, float* out, int64_t ahead) const {
        Codes sums[kCount] = {};
        for (int64_t k = 0; k < columns; k += kWide) {
            const Codes c = load_codes(codes + k);
            for (int r = 0; r < kCount; ++r) {
                if (k % 64 == 0) fetch(weight + r * columns + k + ahead);
                sums[r] = add_products(sums[r], load_codes(weight + r * columns + k, columns - k), c);
            }
        }
        for (int r = 0; r < kCount; ++r) out[r] = float(total(sums[r]));
    }
};
#endif

}  // namespace

namespace {

// Rows [begin, end) of the weight with one vector.
template <class W>
void product_of(const StepProduct<W>& a, const Input<W>& input, int64_t begin, int64_t end, float* y) {
    float out[kRows];
    // whole groups of rows, so that what is fetched is what a later group reads
    const int64_t group = kRows * a.columns * int64_t(sizeof(W));
    const int64_t ahead = group > 0 ? (kAheadBytes + group - 1) / group * kRows * a.columns : 0;
    for (int64_t r = begin; r < end;) {
        const int64_t count = end - r < kRows ? 1 : kRows;
        const W* weight = a.weight + r * a.columns;
        if (count == kRows) input.template products<kRows>(weight, a.columns, out, ahead);
        else input.template products<1>(weight, a.columns, out, ahead);
        for (int64_t i = 0; i < count; ++i, ++r)
            y[r] = out[i] * input.scale * (a.scale ? a.scale[r] : 1.0f) + (a.bias ? a.bias[r] : 0.0f);
    }
}

}  // namespace

// Each vector alone would read all weights anew: groups of rows that a near cache holds go through all vectors.
template <class W> void step_product_range(const StepProduct<W>& a, int64_t begin, int64_t end, char* scratch) {
    if (a.batch == 1) return product_of(a, Input<W>(a.x, a.columns, scratch), begin, end, a.y);
    constexpr int64_t kGroupBytes = 64 << 10;
    const int64_t room = step_product_scratch(a.columns), row = a.columns * int64_t(sizeof(W));
    const int64_t group = row > 0 ? (kGroupBytes / row / kRows + 1) * kRows : end - begin;
    alignas(Input<W>) char inputs[kStepVectors * sizeof(Input<W>)];
    auto* const ready = reinterpret_cast<Input<W>*>(inputs);
    for (int64_t first = 0; first < a.batch; first += kStepVectors) {
        const int64_t count = a.batch - first < kStepVectors ? a.batch - first : kStepVectors;
        for (int64_t b = 0; b < count; ++b)
            new (ready + b) Input<W>(a.x + (first + b) * a.columns, a.columns, scratch + b * room);
        for (int64_t r = begin; r < end; r += group)
            for (int64_t b = 0; b < count; ++b)
                product_of(a, ready[b], r, end - r < group ? end : r + group, a.y + (first + b) * a.rows);
    }
}

// Numbers [0, kVectors kLanes) of a mixture of rows: the sums side by side hide the latency of the additions.
template <int kVectors, class S>
inline void mix(const S* rows, int64_t stride, const float* weights, int64_t count, float* out) {
    VecF sums[kVectors] = {};
    for (int64_t j = 0; j < count; ++j) {
        const VecF weight = broadcast(weights[j]);
        for (int n = 0; n < kVectors; ++n) sums[n] += load(rows + j * stride + n * kLanes) * weight;
    }
    for (int n = 0; n < kVectors; ++n) store(out + n * kLanes, sums[n]);
}

template <class S> void step_attend_range(const StepAttend<S>& a, int64_t begin, int64_t end) {
    for (int64_t h = 0; h < a.heads; ++h) {
        const float* q = a.q + h * a.size;
        const S *k = a.k + h / a.group * a.size, *v = a.v + h / a.group * a.size;
        float highest = -3e38f, total = 0;
        for (int64_t j = begin; j < end;) {
            const int64_t count = end - j < kRows ? 1 : kRows;
            if (count == kRows) dots<kRows>(k + j * a.row, a.row, a.size, q, a.scores + (j - begin), kRows * a.row);
            else dots<1>(k + j * a.row, a.row, a.size, q, a.scores + (j - begin), a.row);
            for (int64_t i = 0; i < count; ++i, ++j) {
                float& score = a.scores[j - begin];
                if (a.by_age) score += a.by_age[h * a.ages + a.newest - j];
                score *= a.scale;
                if (score > highest) highest = score;
            }
        }
        int64_t j = 0;
        VecF sums = {};
        for (; j + kLanes <= end - begin; j += kLanes) {
            VecF e = exp(load(a.scores + j) - highest);
            store(a.scores + j, e);
            sums += e;
        }
        total = sum(sums);
        for (; j < end - begin; ++j) total += a.scores[j] = exp(broadcast(a.scores[j] - highest))[0];
        a.highest[h] = highest;
        a.sum[h] = total;
        float* out = a.out + h * a.size;
        int64_t i = 0;
        const S* first = v + begin * a.row;
        for (; i + kTogether * kLanes <= a.size; i += kTogether * kLanes)
            mix<kTogether>(first + i, a.row, a.scores, end - begin, out + i);
        for (; i + kLanes <= a.size; i += kLanes) mix<1>(first + i, a.row, a.scores, end - begin, out + i);
        for (; i < a.size; ++i) {
            out[i] = 0;
            for (int64_t key = begin; key < end; ++key)
                out[i] += to_compute(v[key * a.row + i]) * a.scores[key - begin];
        }
    }
}

void step_norm_range(const float* x, const float* gain, const float* bias, int64_t size, double epsilon, float* y) {
    VecF sums = {}, squares = {};
    int64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) sums += load(x + i);
    float total = sum(sums);
    for (; i < size; ++i) total += x[i];
    const float mean = total / float(size);
    for (i = 0; i + kLanes <= size; i += kLanes) squares += (load(x + i) - mean) * (load(x + i) - mean);
    float variance = sum(squares);
    for (; i < size; ++i) variance += (x[i] - mean) * (x[i] - mean);
    const float scale = 1 / __builtin_sqrtf(variance / float(size) + float(epsilon));
    for (i = 0; i + kLanes <= size; i += kLanes)
        store(y + i, (load(x + i) - mean) * scale * load(gain + i) + load(bias + i));
    for (; i < size; ++i) y[i] = (x[i] - mean) * scale * gain[i] + bias[i];
}

namespace {

// Calls `step` with the place of each vector of numbers [begin, end) and how it is read and written; the last may be a
// part of one.
template <class Step> inline void each_vector(int64_t begin, int64_t end, const Step& step) {
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
        step(
            i, [](const float* p) { return load(p); }, [](float* p, VecF v) { store(p, v); });
    const int64_t left = end - i;
    if (left > 0)
        step(
            i, [left](const float* p) { return load_part(p, left); },
            [left](float* p, VecF v) { store_part(p, v, left); });
}

inline VecF tanh_of(VecF x) { return 2 * sigmoid(2 * x) - 1; }

}  // namespace

void step_sru_range(const StepSru& a, int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto get, auto put) {
        const VecF c = get(a.c + i), u = get(a.u + i);
        const VecF f = sigmoid(get(a.u + a.width + i) + get(a.v + i) * c + get(a.bias + i));
        const VecF r = sigmoid(get(a.u + 2 * a.width + i) + get(a.v + a.width + i) * c + get(a.bias + a.width + i));
        const VecF now = u + (c - u) * f, g = a.tanh ? tanh_of(now) : now;
        put(a.c + i, now);
        if (a.skip) {
            const VecF skip = get(a.skip + i) * a.alpha;
            put(a.h + i, skip + (g - skip) * r);
        } else {
            put(a.h + i, g * r);
        }
    });
}

void step_lstm_range(const StepGates& a, int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto get, auto put) {
        const auto gate = [&](int64_t plane) {
            return get(a.u + plane * a.width + i) + get(a.s + plane * a.width + i);
        };
        const VecF c = sigmoid(gate(1)) * get(a.c + i) + sigmoid(gate(0)) * tanh_of(gate(2));
        put(a.c + i, c);
        put(a.h + i, sigmoid(gate(3)) * tanh_of(c));
    });
}

void step_gru_range(const StepGates& a, int64_t begin, int64_t end) {
    each_vector(begin, end, [&](int64_t i, auto get, auto put) {
        const auto u = [&](int64_t plane) { return get(a.u + plane * a.width + i); };
        const auto s = [&](int64_t plane) { return get(a.s + plane * a.width + i); };
        const VecF r = sigmoid(u(0) + s(0)), z = sigmoid(u(1) + s(1)), n = tanh_of(u(2) + r * s(2));
        put(a.h + i, n + z * (get(a.h + i) - n));
    });
}

namespace {

constexpr int kStateVectors = 4;

// Values [n, n + kVectors kLanes) of one head, or one vector's first ones.
template <int kVectors, class How>
inline void state_columns(const StepMatrixState& a, int64_t head, int64_t n, const How& part) {
    const float *q = a.q + head * a.key_head, *k = a.k + head * a.key_head, *v = a.v + head * a.value + n;
    const float* left = a.left ? a.left + head * a.left_head : nullptr;
    float* state = a.state + head * a.key * a.value + n;
    VecF in[kVectors], out[kVectors] = {};
    for (int i = 0; i < kVectors; ++i) in[i] = part.get(v + i * kLanes);
    for (int64_t c = 0; c < a.key && a.beta; ++c) {
        const float read = left ? left[c * a.left_channel] * k[c] : k[c];
        for (int i = 0; i < kVectors; ++i) in[i] -= part.get(state + c * a.value + i * kLanes) * read;
    }
    for (int i = 0; i < kVectors && a.beta; ++i) in[i] *= a.beta[head];
    for (int64_t c = 0; c < a.key; ++c, state += a.value) {
        const float kept = left ? left[c * a.left_channel] : 1.0f;
        for (int i = 0; i < kVectors; ++i) {
            const VecF now = part.get(state + i * kLanes) * kept + in[i] * k[c];
            part.put(state + i * kLanes, now);
            out[i] += now * q[c];
        }
    }
    for (int i = 0; i < kVectors; ++i) part.put(a.out + head * a.value + n + i * kLanes, out[i] * a.scale);
}

}  // namespace

void step_matrix_state_range(const StepMatrixState& a, int64_t begin, int64_t end) {
    while (begin < end) {
        const int64_t head = begin / a.value, first = head * a.value;
        const int64_t last = end < first + a.value ? end - first : a.value;
        int64_t n = begin - first;
        for (; n + kStateVectors * kLanes <= last; n += kStateVectors * kLanes)
            state_columns<kStateVectors>(a, head, n, Whole{});
        for (; n + kLanes <= last; n += kLanes) state_columns<1>(a, head, n, Whole{});
        if (n < last) state_columns<1>(a, head, n, Part{last - n});
        begin = first + last;
    }
}

template void step_product_range<float>(const StepProduct<float>&, int64_t, int64_t, char*);
template void step_product_range<bfloat16>(const StepProduct<bfloat16>&, int64_t, int64_t, char*);
template void step_product_range<int8_t>(const StepProduct<int8_t>&, int64_t, int64_t, char*);
template void step_attend_range<float>(const StepAttend<float>&, int64_t, int64_t);
template void step_attend_range<bfloat16>(const StepAttend<bfloat16>&, int64_t, int64_t);

}  // namespace lithe::kernels::LITHE_ISA
