// Device-side loads and stores for the CUDA kernels, and the launch shape they share.
#pragma once

#include <cuda_runtime.h>

#include "lithe/kernels/types.h"

namespace lithe::kernels::cuda {

__device__ inline float get(float value) { return value; }
__device__ inline double get(double value) { return value; }
__device__ inline float get(bfloat16 value) { return __uint_as_float(unsigned(value.bits) << 16); }
__device__ inline void put(float& out, float value) { out = value; }
__device__ inline void put(double& out, double value) { out = value; }
__device__ inline void put(bfloat16& out, float value) {
    unsigned bits = __float_as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) out.bits = uint16_t((bits >> 16) | 0x40);
    else out.bits = uint16_t((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

__device__ inline float exponential(float x) { return __expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
template <class C> __device__ inline C sigmoid(C x) { return C(1) / (C(1) + exponential(-x)); }

constexpr int kThreads = 256;

inline unsigned blocks_for(int64_t count, int threads = kThreads) {
    int64_t blocks = (count + threads - 1) / threads;
    return unsigned(blocks > 0x7FFFFFFF ? 0x7FFFFFFF : blocks);  // grid-stride loops take the rest
}

constexpr int kWarp = 32;

// Sum over a warp; every thread gets it.
template <class C> __device__ inline C warp_sum(C value) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    return value;
}

// Sum over a block of kThreads threads; every thread gets it.
template <class C> __device__ inline C block_sum(C value) {
    __shared__ C partial[32];
    __shared__ C total;
    for (int step = 16; step > 0; step /= 2) value += __shfl_down_sync(0xFFFFFFFFu, value, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x == 0) {
        C sum = 0;
        for (int i = 0; i < int(blockDim.x) / 32; ++i) sum += partial[i];
        total = sum;
    }
    __syncthreads();
    return total;
}

template <class C> __device__ inline C block_max(C value) {
    __shared__ C partial[32];
    __shared__ C total;
    for (int step = 16; step > 0; step /= 2) value = max(value, __shfl_down_sync(0xFFFFFFFFu, value, step));
    __syncthreads();
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x == 0) {
        C best = partial[0];
        for (int i = 1; i < int(blockDim.x) / 32; ++i) best = max(best, partial[i]);
        total = best;
    }
    __syncthreads();
    return total;
}

}  // namespace lithe::kernels::cuda
