#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/dropout/dropout.h"

namespace lithe::kernels::cuda {
namespace {

// base/rng.h's mix64, combine_key and random_bits.
__device__ uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
__device__ uint64_t row_key(uint64_t key, uint64_t row) {
    return mix(key * 0x9E3779B97F4A7C15ull + mix(row + 0x632BE59BD9B4E019ull));
}
__device__ uint64_t random_bits(uint64_t key, uint64_t index) { return mix(mix(index + 0x9E3779B97F4A7C15ull) ^ key); }

// What one word of random bits decides, where it can be read and written at once.
template <class S> struct alignas(4 * sizeof(S)) Four { S values[4]; };

template <class S>
__device__ void drop(const S* in, S* out, int count, uint64_t word, uint32_t threshold, Compute<S> scale) {
    for (int i = 0; i < count; ++i) {
        const uint32_t bits = uint32_t(word >> (i * 16)) & 0xFFFF;
        put(out[i], bits < threshold ? Compute<S>(0) : get(in[i]) * scale);
    }
}

// A thread does the elements of one word. `kWhole`: all words have four, and those lie aligned.
template <class S, bool kWhole> __global__ void dropout_kernel(DropoutArgs<S> a, uint32_t threshold, Compute<S> scale) {
    const uint64_t run_words = uint64_t(a.inner + 3) / 4, rows = uint64_t(a.rows);
    const uint64_t lines = uint64_t(a.heads * a.steps), steps = uint64_t(a.steps);
    const uint64_t count = run_words * lines * rows * uint64_t(a.outer);
    const uint64_t stride = uint64_t(gridDim.x) * blockDim.x;
    const uint64_t key = a.salt ? a.key ^ *a.salt : a.key;
    for (uint64_t i = uint64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
        const uint64_t run = i / run_words, w = i % run_words, line = run % lines;
        const uint64_t o = run / lines / rows, r = run / lines % rows;
        const uint64_t number = o * run_words + kHeadWords * (line / steps) + kStepWords * (line % steps) + w;
        const uint64_t word = random_bits(row_key(key, uint64_t(a.first_row) + r), number);
        const uint64_t at = run * uint64_t(a.inner) + 4 * w;
        if constexpr (kWhole) {
            Four<S> four = *reinterpret_cast<const Four<S>*>(a.in + at);
            drop(four.values, four.values, 4, word, threshold, scale);
            *reinterpret_cast<Four<S>*>(a.out + at) = four;
        } else {
            const uint64_t left = uint64_t(a.inner) - 4 * w;
            drop(a.in + at, a.out + at, left < 4 ? int(left) : 4, word, threshold, scale);
        }
    }
}

template <class S> bool aligned(const S* p) { return reinterpret_cast<uintptr_t>(p) % sizeof(Four<S>) == 0; }

}  // namespace

template <class S> int dropout(const DropoutArgs<S>& args, void* stream) {
    if (args.count() == 0) return 0;
    const auto threshold = uint32_t(args.probability * 65536 + 0.5);
    const auto scale = Compute<S>(65536.0 / (65536.0 - threshold));
    const unsigned blocks = blocks_for((args.inner + 3) / 4 * args.lines() * args.rows * args.outer);
    auto* const on = static_cast<cudaStream_t>(stream);
    if (args.inner % 4 == 0 && aligned(args.in) && aligned(args.out))
        dropout_kernel<S, true><<<blocks, kThreads, 0, on>>>(args, threshold, scale);
    else dropout_kernel<S, false><<<blocks, kThreads, 0, on>>>(args, threshold, scale);
    return int(cudaGetLastError());
}

template int dropout<float>(const DropoutArgs<float>&, void*);
template int dropout<bfloat16>(const DropoutArgs<bfloat16>&, void*);
template int dropout<double>(const DropoutArgs<double>&, void*);

}  // namespace lithe::kernels::cuda
