#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/optimizer/optimizer.h"

namespace lithe::kernels::cuda {
namespace {

__global__ void update_kernel(UpdateArgs<float> a) {
    const UpdateRule& rule = a.rule;
    const float scale = float(rule.gradient_scale), l2 = float(rule.l2), m_decay = float(rule.m_decay),
                m_gain = float(rule.m_gain);
    const float v_decay = float(rule.v_decay), v_gain = float(1 - rule.v_decay), step = float(rule.step),
                v_scale = float(rule.v_scale);
    const float epsilon = float(rule.epsilon), decay = float(rule.decay);
    const int64_t stride = int64_t(gridDim.x) * blockDim.x;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count; i += stride) {
        const float w = a.weight[i], g = scale * a.gradient[i] + l2 * w, m = m_decay * a.m[i] + m_gain * g;
        float change = step * m;
        a.m[i] = m;
        if (rule.second_moment) {
            const float v = v_decay * a.v[i] + v_gain * g * g;
            a.v[i] = v;
            if (rule.adaptive) change /= v_scale * sqrtf(v) + epsilon;
        }
        a.weight[i] = w - decay * w - change;
        if (a.working) put(a.working[i], a.weight[i]);
    }
}

}  // namespace

int optimizer_update(const UpdateArgs<float>& args, void* stream) {
    if (args.count == 0) return 0;
    update_kernel<<<blocks_for(args.count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args);
    return int(cudaGetLastError());
}

}  // namespace lithe::kernels::cuda
