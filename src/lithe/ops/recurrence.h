// Element-wise recurrences as one differentiable operator, and what the operators of recurrences share. Formulas and
// layout: kernels/recurrence/recurrence.h.
#pragma once

#include <array>

#include "lithe/kernels/recurrence/recurrence.h"
#include "lithe/ops/torch.h"

namespace lithe::ops {

struct RecurrenceInput {
    kernels::Cell cell = kernels::Cell::sru;
    Tensor u;                                           // [T][B][directions * planes * width]
    Tensor x_TBD;                                       // where the cell reads it
    std::array<Tensor, kernels::kMostWeights> weights;  // the cell's, in its order: [D] each, or several [n][D]
    Tensor c0_BD;                                       // undefined: zeros, and documents begin at the first step
    Tensor mask_BD;                                     // SRU's; undefined: ones
    Tensor flags_TB;                                    // uint8 of base/position_flags.h; undefined: none
    int directions = 1;
    double alpha = 1;
    bool whole_start = false;  // rg_lru
};

struct RecurrenceOutput {
    Tensor h_TBD;
    Tensor c_BD;  // after the last step (backward direction: after t = 0); fp32, or fp64 for fp64 input
};

// Gradients flow to u, x, weights and c0. Throws when shapes or types do not fit.
RecurrenceOutput recurrence(const RecurrenceInput& input);

// As kernels take it: without history, contiguous; undefined stays undefined.
inline Tensor plain(const Tensor& tensor) { return tensor.defined() ? tensor.detach().contiguous() : tensor; }

// Flags of base/position_flags.h, or undefined. Throws when they are not [T][B] bytes for a sequence [T][B][...].
inline void check_flags(const Tensor& flags_TB, const Tensor& sequence, const char* op) {
    check(!flags_TB.defined() ||
              (flags_TB.sizes() == sequence.sizes().slice(0, 2) && flags_TB.scalar_type() == at::kByte),
          op, "flags " + shape_of(flags_TB) + " are not [T][B] bytes");
}

}  // namespace lithe::ops
