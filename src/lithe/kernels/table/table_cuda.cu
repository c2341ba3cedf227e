#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/table/table.h"

namespace lithe::kernels::cuda {
namespace {

// One warp per row.
__global__ void table_kernel(TableUpdate<float> a) {
    const int64_t group = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
    const int lane = threadIdx.x % kWarp;
    if (group >= a.groups) return;
    const int64_t first = a.starts ? a.starts[group] : group, last = a.starts ? a.starts[group + 1] : group + 1;
    const int64_t row = a.rows[group];
    auto gradient = [&](int64_t j) {
        float total = 0;
        for (int64_t i = first; i < last; ++i) total += a.values[(a.order ? a.order[i] : i) * a.width + j];
        return total * float(a.gradient_scale);
    };
    float squares = 0;
    for (int64_t j = lane; j < a.width; j += kWarp) {
        const float g = gradient(j);
        squares += g * g;
    }
    const float s = a.sums[row] + warp_sum(squares) / float(a.width);
    __syncwarp();
    if (lane == 0) a.sums[row] = s;
    const float step = float(a.rate) / (sqrtf(s) + float(a.epsilon));
    for (int64_t j = lane; j < a.width; j += kWarp) a.table[row * a.width + j] -= step * gradient(j);
}

}  // namespace

int table_update(const TableUpdate<float>& args, void* stream) {
    if (args.groups == 0 || args.width == 0) return 0;
    const int64_t blocks = (args.groups * kWarp + kThreads - 1) / kThreads;
    table_kernel<<<unsigned(blocks), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

}  // namespace lithe::kernels::cuda
