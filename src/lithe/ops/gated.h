// What LSTM, GRU, ATR and sLSTM layers share as operators: the products of the input, the loop, all gradients. Formulas
// and layout: kernels/gated/gated.h.
#pragma once

#include "lithe/kernels/gated/gated.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct GatedInput {
    kernels::GatedCell cell = kernels::GatedCell::lstm;
    Tensor x_TBI;    // of slstm u itself, [T][B][H G D]
    Tensor w_input;  // [G D][I]; of slstm undefined
    Tensor w_state;  // [H G D][D]
    Tensor bias;     // [G D], fp32 (fp64 for fp64 input); of slstm undefined
    Tensor bias_D;   // of the last product with the state, but for lstm; of slstm [H G D]; like bias in type
    Tensor h0_BD;    // of lstm and slstm; like bias in type; undefined: zeros
    Tensor c0_BD;    // the same
    Tensor l0_BD;    // of slstm
    Tensor flags_TB;
    int64_t heads = 1;
};

struct GatedOutput {
    Tensor h_TBD;  // at padding that of the step before
    Tensor c_BD;   // after the last step, like bias in type
    Tensor l_BD;   // the same, of slstm
};

// On a CPU. Gradients flow to all floating-point inputs. Throws when shapes or types do not fit.
GatedOutput gated(const GatedInput& input, const char* op);
void check_gated(const GatedInput& input, const char* op);

}  // namespace lithe::ops
