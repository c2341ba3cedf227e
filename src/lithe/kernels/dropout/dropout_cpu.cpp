// Compiled once per instruction set: elements [begin, end), begin a multiple of 4.
#include "lithe/kernels/dropout/dropout_range.h"
#include "lithe/kernels/simd/vec.h"

namespace lithe::kernels::LITHE_ISA {
namespace {

inline uint64_t mix(uint64_t z) {  // base/rng.h's mix64, here without its external name
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// Whole vectors of at most kChunk elements; returns how many were done.
template <class S>
inline int64_t whole_vectors(const S* in, S* out, int64_t count, const uint16_t* bits, uint32_t threshold,
                             float scale) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        VecF kept = load(in + i) * scale;
        store(out + i, load_halves(bits + i) < threshold ? VecF{} : kept);
    }
    return i;
}
inline int64_t whole_vectors(const double*, double*, int64_t, const uint16_t*, uint32_t, double) { return 0; }

}  // namespace

template <class S>
void dropout_range(const DropoutArgs<S>& a, int64_t begin, int64_t end, uint32_t threshold, Compute<S> scale) {
    constexpr int64_t kChunk = 1024;
    alignas(64) uint16_t bits[kChunk];
    alignas(64) uint64_t words[kChunk / 4];
    for (int64_t at = begin; at < end; at += kChunk) {
        for (int64_t w = 0; w < kChunk / 4; ++w)
            words[w] = mix(mix(uint64_t(at / 4 + w) + 0x9E3779B97F4A7C15ull) ^ a.key);
        __builtin_memcpy(bits, words, sizeof bits);
        int64_t count = end - at < kChunk ? end - at : kChunk;
        for (int64_t i = whole_vectors(a.in + at, a.out + at, count, bits, threshold, scale); i < count; ++i) {
            Compute<S> kept = bits[i] < threshold ? Compute<S>(0) : to_compute(a.in[at + i]) * scale;
            from_compute(kept, a.out[at + i]);
        }
    }
}

template void dropout_range<float>(const DropoutArgs<float>&, int64_t, int64_t, uint32_t, float);
template void dropout_range<bfloat16>(const DropoutArgs<bfloat16>&, int64_t, int64_t, uint32_t, float);
template void dropout_range<double>(const DropoutArgs<double>&, int64_t, int64_t, uint32_t, double);

}  // namespace lithe::kernels::LITHE_ISA
