// Gated linear units (Dauphin et al. 2017; Shazeer 2020): one half of a product's outputs lets the other through.
//
//   y = act(g) u      dg = dy u act'(g)      du = dy act(g)
//
//   sigmoid  act(g) = s(g) = 1 / (1 + exp(-g))        (GLU)
//   silu     act(g) = g s(g)                           (SwiGLU)
//   gelu     act(g) = g / 2 (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3)))      (GEGLU, in the form of T5 1.1)
//   relu     act(g) = max(g, 0)                        (ReGLU)
//
// g and u are rows of [rows][inner], `row` numbers apart; y is [rows][inner], one row behind the other.
#pragma once

#include <cstdint>

#include "lithe/kernels/types.h"

namespace lithe::kernels {

enum class GluGate { sigmoid, silu, gelu, relu };

template <class S> struct GluForward {
    GluGate gate = GluGate::silu;
    int64_t rows = 0, inner = 0, row = 0;
    const S *g = nullptr, *u = nullptr;
    S* y = nullptr;
};

template <class S> struct GluBackward {
    GluForward<S> forward;  // y is not read
    const S* dy = nullptr;
    S *dg = nullptr, *du = nullptr;  // `row` numbers apart, as g and u
};

template <class S> void glu_forward_ref(const GluForward<S>& args);
template <class S> void glu_backward_ref(const GluBackward<S>& args);
template <class S> void glu_forward(const GluForward<S>& args);
template <class S> void glu_backward(const GluBackward<S>& args);

}  // namespace lithe::kernels
