#include "lithe/ops/atr.h"

#include "lithe/base/position_flags.h"
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
    const auto type = in.x_TBI.scalar_type(), compute = in.bias_input.scalar_type();
    const Tensor u = at::linear(in.x_TBI, in.w_input, in.bias_input.to(type));
    Tensor h = in.h0_BD.defined()
                   ? in.h0_BD
                   : at::zeros({in.x_TBI.size(1), in.w_state.size(1)}, in.bias_input.options().requires_grad(false));
    std::vector<Tensor> all;
    for (int64_t t = 0; t < in.x_TBI.size(0); ++t) {
        const auto flagged = [&](uint8_t flag) { return in.flags_TB[t].bitwise_and(flag).to(at::kBool).unsqueeze(-1); };
        if (in.flags_TB.defined()) h = h.masked_fill(flagged(kDocumentBegins), 0);
        const Tensor p = u[t].to(compute), q = at::mm(h.to(type), in.w_state.t()).to(compute) + in.bias_state;
        const Tensor now = ((p + q).sigmoid() * p + (p - q).sigmoid() * h).tanh();
        h = in.flags_TB.defined() ? at::where(flagged(kPadding), h, now) : now;
        all.push_back(h.to(type));
    }
    return {all.empty() ? u : at::stack(all), h};
}

}  // namespace lithe::ops
