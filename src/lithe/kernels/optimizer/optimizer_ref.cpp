#include <cmath>

#include "lithe/kernels/optimizer/optimizer.h"

namespace lithe::kernels {

template <class C> void optimizer_update_ref(const UpdateArgs<C>& args) {
    const UpdateRule& rule = args.rule;
    for (int64_t i = 0; i < args.count; ++i) {
        C w = args.weight[i];
        C g = C(rule.gradient_scale) * args.gradient[i] + C(rule.l2) * w;
        args.m[i] = C(rule.m_decay) * args.m[i] + C(rule.m_gain) * g;
        if (rule.second_moment) args.v[i] = C(rule.v_decay) * args.v[i] + C(1 - rule.v_decay) * g * g;
        C change = C(rule.step) * args.m[i];
        if (rule.adaptive) change /= C(rule.v_scale) * std::sqrt(args.v[i]) + C(rule.epsilon);
        args.weight[i] = w - C(rule.decay) * w - change;
        if (args.working) from_compute(float(args.weight[i]), args.working[i]);
    }
}

template void optimizer_update_ref<float>(const UpdateArgs<float>&);
template void optimizer_update_ref<double>(const UpdateArgs<double>&);

}  // namespace lithe::kernels
