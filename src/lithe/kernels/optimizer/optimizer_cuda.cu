#include "lithe/kernels/cuda_types.h"
#include "lithe/kernels/optimizer/optimizer.h"

namespace lithe::kernels::cuda {
namespace {

struct Rule {
    float scale, l2, m_decay, m_gain, v_decay, v_gain, step, v_scale, epsilon, decay;
    bool second_moment, adaptive;
    explicit Rule(const UpdateRule& r)
        : scale(float(r.gradient_scale)),
          l2(float(r.l2)),
          m_decay(float(r.m_decay)),
          m_gain(float(r.m_gain)),
          v_decay(float(r.v_decay)),
          v_gain(float(1 - r.v_decay)),
          step(float(r.step)),
          v_scale(float(r.v_scale)),
          epsilon(float(r.epsilon)),
          decay(float(r.decay)),
          second_moment(r.second_moment),
          adaptive(r.adaptive) {}
};

__device__ void update(const UpdateArgs<float>& a, const Rule& rule, int64_t i, bool copies) {
    const float w = a.weight[i], g = rule.scale * a.gradient[i] + rule.l2 * w,
                m = rule.m_decay * a.m[i] + rule.m_gain * g;
    float change = rule.step * m;
    a.m[i] = m;
    if (rule.second_moment) {
        const float v = rule.v_decay * a.v[i] + rule.v_gain * g * g;
        a.v[i] = v;
        if (rule.adaptive) change /= rule.v_scale * sqrtf(v) + rule.epsilon;
    }
    const float updated = w - rule.decay * w - change;
    a.weight[i] = updated;
    if (copies) put(a.working[i], updated);
}

__global__ void update_kernel(UpdateArgs<float> a, Rule rule) {
    const int64_t stride = int64_t(gridDim.x) * blockDim.x;
    for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count; i += stride)
        update(a, rule, i, a.working != nullptr);
}

// One block per range.
__global__ void ranges_kernel(UpdateArgs<float> a, Rule rule, const UpdateRange* ranges) {
    const UpdateRange range = ranges[blockIdx.x];
    if (!range.decays) rule.decay = rule.l2 = 0;
    for (int64_t i = threadIdx.x; i < range.count; i += blockDim.x) update(a, rule, range.first + i, range.copies);
}

}  // namespace

int optimizer_update(const UpdateArgs<float>& args, void* stream) {
    if (args.count == 0) return 0;
    update_kernel<<<blocks_for(args.count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args, Rule(args.rule));
    return int(cudaGetLastError());
}

int optimizer_update_ranges(const UpdateArgs<float>& args, const UpdateRange* ranges, int64_t count, void* stream) {
    if (count == 0) return 0;
    ranges_kernel<<<unsigned(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args, Rule(args.rule), ranges);
    return int(cudaGetLastError());
}

}  // namespace lithe::kernels::cuda
