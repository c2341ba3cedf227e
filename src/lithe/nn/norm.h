// Norms over the last axis: layer norm (Ba et al. 2016) with gain and bias, RMS norm of heads (Zhang & Sennrich 2019).
#pragma once

#include "lithe/nn/parameters.h"
#include "lithe/ops/norm.h"
#include "lithe/ops/rms_norm.h"

namespace lithe {

class LayerNorm {
 public:
    LayerNorm() = default;
    // `epsilon` is added to the variance.
    LayerNorm(ParameterStore& store, const std::string& name, int64_t width, double epsilon)
        : epsilon_(epsilon),
          gain_(store.add({name + ".gain", {width}, Role::vector, Init::constant(1)})),
          bias_(store.add({name + ".bias", {width}, Role::bias, Init::constant(0)})) {}

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

// Of each head, with one gain for all; the gate z, if there is one, stands before or behind the norm.
class RmsNorm {
 public:
    RmsNorm() = default;
    // `width`: of a head.
    RmsNorm(ParameterStore& store, const std::string& name, int64_t width, double epsilon,
            kernels::NormGate gate = kernels::NormGate::none)
        : epsilon_(epsilon),
          gate_(gate),
          gain_(store.add({name + ".gain", {width}, Role::vector, Init::constant(1)})) {}

    Tensor operator()(const Tensor& x, const Tensor& z = {}) const {
        return ops::rms_norm(x, gain_.tensor(), epsilon_, gate_, z);
    }
    double epsilon() const { return epsilon_; }
    kernels::NormGate gate() const { return gate_; }
    const Tensor& gain() const { return gain_.tensor(); }
    explicit operator bool() const { return bool(gain_); }

 private:
    double epsilon_ = 0;
    kernels::NormGate gate_ = kernels::NormGate::none;
    Parameter gain_;
};

// A norm around blocks and before the head: one of the two, or none.
class StackNorm {
 public:
    StackNorm() = default;
    explicit StackNorm(LayerNorm norm) : layer_(std::move(norm)) {}
    explicit StackNorm(RmsNorm norm) : rms_(std::move(norm)) {}
    Tensor operator()(const Tensor& x) const { return rms_ ? rms_(x) : layer_(x); }
    explicit operator bool() const { return bool(layer_) || bool(rms_); }
    const LayerNorm& layer() const { return layer_; }  // empty: it is the other one
    const RmsNorm& rms() const { return rms_; }

 private:
    LayerNorm layer_;
    RmsNorm rms_;
};

}  // namespace lithe
