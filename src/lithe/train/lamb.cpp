#include "lithe/train/lamb.h"

#include <cmath>

namespace lithe {

void lamb_step(const OptimizerConfig& config, ParameterStore& store, size_t i, bool decays, const LambUpdate& update) {
    constexpr double kLongest = 10;
    const auto part = [&](const Tensor& flat) { return flat.narrow(0, store.offset(i), store.spec(i).count()); };
    Tensor w = part(store.master_flat()), m = part(update.m), v = part(update.v);
    const Tensor gradient = part(store.gradient_flat()) * update.gradient_scale;
    m.mul_(config.beta1).add_(gradient, 1 - config.beta1);
    v.mul_(config.beta2).addcmul_(gradient, gradient, 1 - config.beta2);
    const double correction1 = 1 - std::pow(config.beta1, double(update.t)),
                 correction2 = 1 - std::pow(config.beta2, double(update.t));
    Tensor u = (m / correction1).div_((v / correction2).sqrt_().add_(config.epsilon));
    if (decays) u.add_(w, config.weight_decay);
    // stays on the device: nothing waits for a norm
    const Tensor length = w.norm().clamp_max(kLongest), of_update = u.norm();
    const Tensor ratio = at::where((length * of_update).gt(0), length / of_update, at::ones_like(length));
    w.sub_(u.mul_(ratio * update.learning_rate));
    if (store.has_copy(i)) part(store.working_flat()).copy_(w);
}

}  // namespace lithe
