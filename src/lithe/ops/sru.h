// The SRU recurrence as a differentiable operator. Formula and layout: kernels/recurrence/recurrence.h.
#pragma once

#include "lithe/ops/recurrence.h"

namespace lithe::ops {

struct SruInput {
    Tensor u;      // [T][B][directions * planes * d], planes contiguous inside a direction
    Tensor x_TBD;  // skip input, or undefined
    Tensor v_2D;   // recurrence weights: forget, reset
    Tensor bias_2D;
    Tensor c0_BD;     // undefined: zeros
    Tensor mask_BD;   // undefined: ones
    Tensor flags_TB;  // uint8 of base/position_flags.h; undefined: none
    int directions = 1;
    int planes = 3;
    bool tanh = false;
    double alpha = 1;
};

struct SruOutput {
    Tensor h_TBD;
    Tensor c_BD;  // after the last step (backward direction: after t = 0); fp32, or fp64 for fp64 input
};

// Gradients flow to u, x, v, bias and c0. Throws when shapes or types do not fit.
SruOutput sru(const SruInput& input);

// The same as a cell of the family. Throws when u does not hold the planes.
RecurrenceInput recurrence_of(const SruInput& input);

}  // namespace lithe::ops
