// Compiled once per instruction set: tiles [begin, end) of the tensor.
#include "lithe/kernels/dropout/dropout_range.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

// base/rng.h, here without external names: mix64, combine_key, and random_bits in two halves, the first of which does
// not depend on the key.
inline uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
inline uint64_t row_key(uint64_t key, int64_t row) {
    return mix(key * 0x9E3779B97F4A7C15ull + mix(uint64_t(row) + 0x632BE59BD9B4E019ull));
}
inline uint64_t counted(uint64_t index) { return mix(index + 0x9E3779B97F4A7C15ull); }
inline uint64_t keyed(uint64_t counted_index, uint64_t key) { return mix(counted_index ^ key); }

// Whole vectors of at most kDropoutColumns elements; returns how many were done.
template <class S>
inline int64_t whole_vectors(const S* in, S* out, int64_t count, const uint64_t* words, uint32_t threshold,
                             float scale) {
    const char* bits = reinterpret_cast<const char*>(words);
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        VecF kept = load(in + i) * scale;
        store(out + i, load_halves(bits + 2 * i) < threshold ? VecF{} : kept);
    }
    return i;
}
inline int64_t whole_vectors(const double*, double*, int64_t, const uint64_t*, uint32_t, double) { return 0; }

}  // namespace

template <class S>
void dropout_range(const DropoutArgs<S>& a, int64_t begin, int64_t end, uint32_t threshold, Compute<S> scale) {
    constexpr int64_t kAtOnce = 8;  // words; what is computed beyond a run's end is not used
    alignas(64) uint64_t places[kDropoutColumns / 4];
    alignas(64) uint64_t words[kDropoutColumns / 4];
    uint64_t keys[kDropoutRows];
    const int64_t columns = dropout_columns(a.inner), run_words = (a.inner + 3) / 4;
    const int64_t places_of_rows = a.outer * a.lines();
    int64_t group = -1;
    int64_t rows = 0;
    for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t first = tile % columns * kDropoutColumns, place = tile / columns % places_of_rows;
        const int64_t o = place / a.lines(), line = place % a.lines();
        if (const int64_t now = tile / columns / places_of_rows; now != group) {
            group = now;
            rows = a.rows - group * kDropoutRows < kDropoutRows ? a.rows - group * kDropoutRows : kDropoutRows;
            for (int64_t r = 0; r < rows; ++r) keys[r] = row_key(a.key, a.first_row + group * kDropoutRows + r);
        }
        const int64_t count = a.inner - first < kDropoutColumns ? a.inner - first : kDropoutColumns;
        const int64_t count_words = ((count + 3) / 4 + kAtOnce - 1) / kAtOnce * kAtOnce;
        const uint64_t word = uint64_t(o * run_words + first / 4) + kHeadWords * uint64_t(line / a.steps) +
                              kStepWords * uint64_t(line % a.steps);
        for (int64_t w = 0; w < count_words; ++w) places[w] = counted(word + uint64_t(w));
        for (int64_t r = 0; r < rows; ++r) {
            for (int64_t w = 0; w < count_words; ++w) words[w] = keyed(places[w], keys[r]);
            const int64_t at = ((o * a.rows + group * kDropoutRows + r) * a.lines() + line) * a.inner + first;
            for (int64_t i = whole_vectors(a.in + at, a.out + at, count, words, threshold, scale); i < count; ++i) {
                const uint32_t bits = uint32_t(words[i / 4] >> (i % 4 * 16)) & 0xFFFF;
                Compute<S> kept = bits < threshold ? Compute<S>(0) : to_compute(a.in[at + i]) * scale;
                from_compute(kept, a.out[at + i]);
            }
        }
    }
}

template void dropout_range<float>(const DropoutArgs<float>&, int64_t, int64_t, uint32_t, float);
template void dropout_range<bfloat16>(const DropoutArgs<bfloat16>&, int64_t, int64_t, uint32_t, float);
template void dropout_range<double>(const DropoutArgs<double>&, int64_t, int64_t, uint32_t, double);

}  // namespace lithe::kernels::LITHE_ISA
