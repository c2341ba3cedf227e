// LAMB (You et al. 2020, "Large Batch Optimization for Deep Learning", algorithm 2): Adam's direction, scaled per
// parameter to the length of its weights.
//
//   u = m' / (sqrt(v') + epsilon) + wd w          m', v': bias-corrected moments
//   w <- w - lr min(|w|, 10) / |u| u              the bound of 10 is NVIDIA's; a factor of 1 where |w| or |u| is 0
//
// Norms are those of a whole parameter, stacked matrices included.
#pragma once

#include "lithe/nn/parameters.h"
#include "lithe/spec/config.h"

namespace lithe {

// What an update works on: moments that lie as the store's masters do, and the number of this update, from 1.
struct LambUpdate {
    const Tensor &m, &v;
    int64_t t;
    double learning_rate, gradient_scale;
};

// One update of parameter `i` from the store's collected gradient.
void lamb_step(const OptimizerConfig& config, ParameterStore& store, size_t i, bool decays, const LambUpdate& update);

}  // namespace lithe
