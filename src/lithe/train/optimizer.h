// AdamW, RAdam, Adam and SGD over the flat parameter store, one pass over memory, with clipping by the global norm.
//
// AdamW: Loshchilov, Hutter 2019. RAdam: Liu et al. 2020 as in the authors' code: decoupled decay p <- p - wd lr p in
// the same step; rectified when N_sma >= 5, else a momentum step ("sgd") or no update at all ("none"); sqrt(v) is not
// bias-corrected, the factor stands in the step size. Adam: L2 decay in the gradient. SGD: m <- mu m + g, w <- w - lr m
// - lr wd w.
#pragma once

#include "lithe/kernels/optimizer/optimizer.h"
#include "lithe/nn/parameters.h"
#include "lithe/spec/config.h"

namespace lithe {

class Optimizer {
 public:
    Optimizer(const OptimizerConfig& config, ParameterStore& store);

    // Global norm of the collected gradient, before clipping.
    double gradient_norm() const;
    // One update with the store's collected gradient; clips when the norm exceeds clip_norm.
    void step(double learning_rate, double gradient_norm);

    int64_t updates() const { return updates_; }
    void set_updates(int64_t updates) { updates_ = updates; }
    // First and second moment, laid out like the store's master buffer; v is undefined for SGD.
    const Tensor& m() const { return m_; }
    const Tensor& v() const { return v_; }

    // The numbers of update number t (from 1) without decay and clipping; `skip`: this update changes nothing.
    struct Rule {
        kernels::UpdateRule rule;
        bool skip = false;
    };
    static Rule rule_of(const OptimizerConfig& config, int64_t t, double learning_rate);

 private:
    bool decays(const ParameterSpec& spec) const;
    OptimizerConfig config_;
    ParameterStore& store_;
    Tensor m_, v_;
    int64_t updates_ = 0;
};

}  // namespace lithe
