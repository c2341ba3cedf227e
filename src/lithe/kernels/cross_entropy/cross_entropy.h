// Cross-entropy of logits with a bias, in nats, and its gradient.
//
//   l_nv = logits_nv + bias_v      lse_n = log sum_v exp l_nv      loss_n = lse_n - l_n,target
//   dlogits_nv = weight_n (exp(l_nv - lse_n) - [v = target_n])       written over the logits
//
// A target of -1 is not scored: loss and gradient are 0. Targets are checked by the operator; on a GPU, where a look
// would wait, the loss of a wrong one is NaN.
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
};

template <class S> void cross_entropy_forward_ref(const CrossEntropyArgs<S>& args);
template <class S> void cross_entropy_backward_ref(const CrossEntropyArgs<S>& args);
template <class S> void cross_entropy_forward(const CrossEntropyArgs<S>& args);
template <class S> void cross_entropy_backward(const CrossEntropyArgs<S>& args);

}  // namespace lithe::kernels
