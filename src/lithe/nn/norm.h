// Layer norm (Ba et al. 2016) over the last axis, with gain and bias.
#pragma once

#include "lithe/nn/parameters.h"
#include "lithe/ops/norm.h"

namespace lithe {

class LayerNorm {
 public:
    LayerNorm() = default;
    // `epsilon` is added to the variance.
    LayerNorm(ParameterStore& store, const std::string& name, int64_t width, double epsilon)
        : epsilon_(epsilon),
          gain_(store.add({name + ".gain", {width}, Role::vector, Init::constant(1)})),
          bias_(store.add({name + ".bias", {width}, Role::vector, Init::constant(0)})) {}

    Tensor operator()(const Tensor& x) const { return ops::layer_norm(x, gain_.tensor(), bias_.tensor(), epsilon_); }
    // Of x + scale add.
    Tensor of_sum(const Tensor& x, const Tensor& scale, const Tensor& add) const {
        return ops::layer_norm(x, gain_.tensor(), bias_.tensor(), epsilon_, add, scale);
    }
    double epsilon() const { return epsilon_; }
    const Tensor& gain() const { return gain_.tensor(); }
    const Tensor& bias() const { return bias_.tensor(); }
    explicit operator bool() const { return bool(gain_); }

 private:
    double epsilon_ = 0;
    Parameter gain_, bias_;
};

}  // namespace lithe
