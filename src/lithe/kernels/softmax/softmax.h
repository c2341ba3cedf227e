// Masked softmax of attention scores, in place.
//
//   p_ij = exp(scale s_ij) / sum_j exp(scale s_ij) over the visible keys j of query i, 0 elsewhere
//   ds_ij = scale p_ij (dp_ij - sum_j dp_ij p_ij)
//
// Scores are [batch x heads][queries][keys]; which keys a query sees: softmax/mask.h. A query that sees nothing gets
// zeros, not NaN. Sums are Compute<Storage>. Where they are asked for, lse_i = log sum_j exp(scale s_ij) is an output,
// too, kNothing where nothing is seen, and its gradient adds scale p_ij dlse_i to ds_ij.
#pragma once

#include <cstdint>

#include "lithe/kernels/softmax/mask.h"
#include "lithe/kernels/types.h"

namespace lithe::kernels {

// log sum exp of no numbers, as finite arithmetic has it.
constexpr double kNothing = -3e38;

template <class S> struct SoftmaxForward {
    SoftmaxMask mask;
    Compute<S> scale = 1;
    S* scores = nullptr;        // in: scores, out: probabilities
    Compute<S>* lse = nullptr;  // [batch heads][queries]; null: not wanted
};

template <class S> struct SoftmaxBackward {
    SoftmaxMask mask;
    Compute<S> scale = 1;
    const S* probabilities = nullptr;
    S* gradient = nullptr;  // in: dp, out: ds
    const Compute<S>* d_lse = nullptr;
};

template <class S> void softmax_forward_ref(const SoftmaxForward<S>& args);
template <class S> void softmax_backward_ref(const SoftmaxBackward<S>& args);
template <class S> void softmax_forward(const SoftmaxForward<S>& args);
template <class S> void softmax_backward(const SoftmaxBackward<S>& args);

}  // namespace lithe::kernels
