// Cross-entropy of logits with a bias, in nats, and its gradient.
//
//   l_nv = logits_nv + bias_v      lse_n = log sum_v exp l_nv      loss_n = lse_n - sum_v q_nv l_nv
//   dlogits_nv = weight_n (exp(l_nv - lse_n) - q_nv)               written over the logits
//
// q is 1 at the target; with smoothing e it is 1 - e there and e / (V - 1) at every other (Szegedy et al. 2016, section
// 7, in fairseq's form). A target of -1 is not scored: loss and gradient are 0. Targets are checked by the operator; on
// a GPU, where a look would wait, the loss of a wrong one is NaN.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

template <class S> struct CrossEntropyArgs {
    int64_t rows = 0, vocabulary = 0;
    S* logits = nullptr;
    const Compute<S>* bias = nullptr;  // null: none
    const int64_t* targets = nullptr;
    Compute<S>* lse = nullptr;           // out of the forward pass, in of the backward pass
    Compute<S>* loss = nullptr;          // forward only
    const Compute<S>* weight = nullptr;  // backward only: gradient of each row's loss
    Compute<S> smoothing = 0;            // above 0 the vocabulary has two tokens at least
    // What every token but the target has of it, and the target beyond that.
    Compute<S> each() const { return smoothing > 0 ? smoothing / Compute<S>(vocabulary - 1) : Compute<S>(0); }
    Compute<S> at_target() const { return 1 - smoothing - each(); }
};

template <class S> void cross_entropy_forward_ref(const CrossEntropyArgs<S>& args);
template <class S> void cross_entropy_backward_ref(const CrossEntropyArgs<S>& args);
template <class S> void cross_entropy_forward(const CrossEntropyArgs<S>& args);
template <class S> void cross_entropy_backward(const CrossEntropyArgs<S>& args);

}  // namespace lithe::kernels
