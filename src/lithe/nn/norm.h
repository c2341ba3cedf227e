// Layer norm (Ba et al. 2016) over the last axis, eps 1e-5, with gain and bias.
#pragma once

#include "lithe/nn/parameters.h"

namespace lithe {

class LayerNorm {
 public:
    LayerNorm() = default;
    LayerNorm(ParameterStore& store, const std::string& name, int64_t width)
        : gain_(store.add({name + ".gain", {width}, Role::vector, Init::constant(1)})),
          bias_(store.add({name + ".bias", {width}, Role::vector, Init::constant(0)})),
          width_(width) {}

    Tensor operator()(const Tensor& x) const {
        return at::layer_norm(x, {width_}, gain_.tensor(), bias_.tensor(), 1e-5);
    }
    const Tensor& gain() const { return gain_.tensor(); }
    const Tensor& bias() const { return bias_.tensor(); }
    explicit operator bool() const { return bool(gain_); }

 private:
    Parameter gain_, bias_;
    int64_t width_ = 0;
};

}  // namespace lithe
