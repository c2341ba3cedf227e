#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/dropout/dropout.h"

namespace lithe::kernels::cuda {
namespace {

__device__ uint64_t mix(uint64_t z) {  // base/rng.h's mix64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

template <class S> __global__ void dropout_kernel(DropoutArgs<S> a, uint32_t threshold, Compute<S> scale) {
    using C = Compute<S>;
    const int64_t stride = int64_t(gridDim.x) * blockDim.x;
    const uint64_t key = a.salt ? a.key ^ *a.salt : a.key;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count; i += stride) {
        const uint64_t word = mix(mix(uint64_t(i) / 4 + 0x9E3779B97F4A7C15ull) ^ key);
        const uint32_t bits = uint32_t(word >> (i % 4 * 16)) & 0xFFFF;
        put(a.out[i], bits < threshold ? C(0) : get(a.in[i]) * scale);
    }
}

}  // namespace

template <class S> int dropout(const DropoutArgs<S>& args, void* stream) {
    if (args.count == 0) return 0;
    const auto threshold = uint32_t(args.probability * 65536 + 0.5);
    dropout_kernel<S><<<blocks_for(args.count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        args, threshold, Compute<S>(65536.0 / (65536.0 - threshold)));
    return int(cudaGetLastError());
}

template int dropout<float>(const DropoutArgs<float>&, void*);
template int dropout<bfloat16>(const DropoutArgs<bfloat16>&, void*);
template int dropout<double>(const DropoutArgs<double>&, void*);

}  // namespace lithe::kernels::cuda
