#include "lithe/ops/atr.h"

#include "lithe/ops/gated.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {

AtrOutput atr(const AtrInput& in) {
    ProfileScope scope("lithe::atr");
    check(in.bias_state.sizes() == in.bias_input.sizes(), "atr",
          "biases " + shape_of(in.bias_input) + " and " + shape_of(in.bias_state) + " differ");
    const GatedInput gated_in{.cell = kernels::GatedCell::atr,
                              .x_TBI = in.x_TBI,
                              .w_input = in.w_input,
                              .w_state = in.w_state,
                              .bias = in.bias_input,
                              .bias_D = in.bias_state,
                              .c0_BD = in.h0_BD,
                              .flags_TB = in.flags_TB};
    check_gated(gated_in, "atr");
    if (in.x_TBI.is_cuda() || in.x_TBI.numel() == 0) return atr_by_steps(in);
    const GatedOutput out = gated(gated_in, "atr");
    return {out.h_TBD, out.c_BD};
}

AtrOutput atr_by_steps(const AtrInput& in) {
    return hidden_loop_by_steps(in, [](const Tensor& p, const Tensor& q, const Tensor& h) {
        return ((p + q).sigmoid() * p + (p - q).sigmoid() * h).tanh();
    });
}

}  // namespace lithe::ops
