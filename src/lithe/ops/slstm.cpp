#include "lithe/ops/slstm.h"

#include "lithe/base/position_flags.h"
#include "lithe/ops/gated.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {

SlstmOutput slstm(const SlstmInput& in) {
    ProfileScope scope("lithe::slstm");
    const GatedInput gated_in{.cell = kernels::GatedCell::slstm,
                              .x_TBI = in.u_TBX,
                              .w_state = in.w_state,
                              .bias_D = in.bias,
                              .h0_BD = in.h0_BD,
                              .c0_BD = in.c0_BD,
                              .l0_BD = in.l0_BD,
                              .flags_TB = in.flags_TB,
                              .heads = in.heads};
    check_gated(gated_in, "slstm");
    if (in.u_TBX.is_cuda() || in.u_TBX.numel() == 0) return slstm_by_steps(in);
    const GatedOutput out = gated(gated_in, "slstm");
    return {out.h_TBD, out.h_TBD[-1].to(in.bias.scalar_type()), out.c_BD, out.l_BD};
}

SlstmOutput slstm_by_steps(const SlstmInput& in) {
    const auto type = in.u_TBX.scalar_type(), compute = in.bias.scalar_type();
    const int64_t steps = in.u_TBX.size(0), batch = in.u_TBX.size(1), width = in.w_state.size(1);
    const auto given = [&](const Tensor& state, double otherwise) {
        const Tensor all = state.defined()
                               ? state
                               : at::full({batch, in.heads * width}, otherwise, in.bias.options().requires_grad(false));
        return all.view({batch, in.heads, width});
    };
    const Tensor w = in.w_state.view({in.heads, 4 * width, width}).transpose(1, 2),
                 bias = in.bias.view({in.heads, 4 * width});
    const Tensor u = in.u_TBX.view({steps, batch, in.heads, 4 * width});
    Tensor h = given(in.h0_BD, 0).to(type), c = given(in.c0_BD, 0), l = given(in.l0_BD, kernels::kNothing);
    std::vector<Tensor> all;
    for (int64_t t = 0; t < steps; ++t) {
        const auto flagged = [&](uint8_t flag) {
            return in.flags_TB[t].bitwise_and(flag).to(at::kBool).view({batch, 1, 1});
        };
        if (in.flags_TB.defined()) {
            const Tensor begins = flagged(kDocumentBegins);
            h = h.masked_fill(begins, 0);
            c = c.masked_fill(begins, 0);
            l = l.masked_fill(begins, kernels::kNothing);
        }
        const Tensor product = at::bmm(h.transpose(0, 1), w).transpose(0, 1).to(compute);
        const auto sums = (u[t].to(compute) + product + bias).chunk(4, -1);
        const Tensor a = at::log_sigmoid(sums[1]) + l, keep = (a - sums[0]).sigmoid();
        Tensor c_now = at::lerp(sums[2].tanh(), c, keep), l_now = at::logaddexp(a, sums[0]);
        Tensor h_now = (sums[3].sigmoid() * c_now).to(type);
        if (in.flags_TB.defined()) {
            const Tensor pad = flagged(kPadding);
            h_now = at::where(pad, h, h_now);
            c_now = at::where(pad, c, c_now);
            l_now = at::where(pad, l, l_now);
        }
        h = h_now;
        c = c_now;
        l = l_now;
        all.push_back(h.flatten(1));
    }
    const Tensor h_TBD = all.empty() ? in.u_TBX.narrow(2, 0, in.heads * width) : at::stack(all);
    return {h_TBD, h.to(compute).flatten(1), c.flatten(1), l.flatten(1)};
}

}  // namespace lithe::ops
