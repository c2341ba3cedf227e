// Skip RNN (Campos et al. 2018, "Skip RNN: Learning to Skip State Updates in Recurrent Neural Networks", section 3;
// imatge-upc/skiprnn-2017-telecombcn) around an element-wise recurrence of ops/recurrence.h:
//
//   m_t = m_{t-1} + min(p_{t-1}, 1 - m_{t-1})     u_t = round(m_t), a half to 0
//   c', h' = cell(u, x, c_{t-1})                  c_t = u_t c' + (1 - u_t) c_{t-1}, h_t the same
//   p_t = u_t s(w . c' + b) + (1 - u_t) p_{t-1}   m_t = (1 - u_t) m_t, once u_t is known
//
// for each row of the batch, where s is the logistic function. A document begins with p of 1 and m of 0, so that its
// first step updates. A padded step changes nothing, gives 0 and counts as no update.
#pragma once

#include "lithe/ops/recurrence.h"

namespace lithe::ops {

struct SkipRecurrenceInput {
    RecurrenceInput cell;          // one direction; c0 undefined: nothing was read yet
    Tensor w_D, b_1;               // of the update probability, fp32 (fp64 for fp64 input)
    Tensor h0_BD, p0_B, m0_B;      // like w in type; undefined: zeros, ones, zeros; h0 where h is not c
    bool straight_through = true;  // the gradient of the rounding is 1; else 0
};

struct SkipRecurrenceOutput {
    Tensor h_TBD;
    Tensor updates_TB;            // u, like w in type
    Tensor c_BD, h_BD, p_B, m_B;  // after the last step, like w in type; h undefined where it is c
};

// Gradients flow to u, x, weights, w, b and the states. One step runs after the other, on any device.
SkipRecurrenceOutput skip_recurrence(const SkipRecurrenceInput& input);

}  // namespace lithe::ops
