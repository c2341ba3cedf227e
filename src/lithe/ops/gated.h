// What LSTM, GRU and ATR layers share as operators: the products of the input, the loop, all gradients. Formulas and
// layout: kernels/gated/gated.h.
#pragma once

#include "lithe/kernels/gated/gated.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct GatedInput {
    kernels::GatedCell cell = kernels::GatedCell::lstm;
    Tensor x_TBI;
    Tensor w_input;  // [G D][I]
    Tensor w_state;  // [G D][D]
    Tensor bias;     // [G D], fp32 (fp64 for fp64 input)
    Tensor bias_D;   // of the last product with the state, but for lstm; like bias in type
    Tensor h0_BD;    // of lstm; like bias in type; undefined: zeros
    Tensor c0_BD;    // the same
    Tensor flags_TB;
};

struct GatedOutput {
    Tensor h_TBD;  // at padding that of the step before
    Tensor c_BD;   // after the last step, like bias in type
};

// On a CPU. Gradients flow to all floating-point inputs. Throws when shapes or types do not fit.
GatedOutput gated(const GatedInput& input, const char* op);
void check_gated(const GatedInput& input, const char* op);

}  // namespace lithe::ops
