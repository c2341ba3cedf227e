#include "lithe/ops/hidden_loop.h"

#include "lithe/base/position_flags.h"

namespace lithe::ops {

HiddenLoopOutput hidden_loop_by_steps(const HiddenLoopInput& in, const HiddenStep& step) {
    const auto type = in.x_TBI.scalar_type(), compute = in.bias_input.scalar_type();
    const Tensor u = at::linear(in.x_TBI, in.w_input, in.bias_input.to(type));
    Tensor h = in.h0_BD.defined()
                   ? in.h0_BD
                   : at::zeros({in.x_TBI.size(1), in.w_state.size(1)}, in.bias_input.options().requires_grad(false));
    std::vector<Tensor> all;
    for (int64_t t = 0; t < in.x_TBI.size(0); ++t) {
        const auto flagged = [&](uint8_t flag) { return in.flags_TB[t].bitwise_and(flag).to(at::kBool).unsqueeze(-1); };
        if (in.flags_TB.defined()) h = h.masked_fill(flagged(kDocumentBegins), 0);
        const Tensor of_state = at::mm(h.to(type), in.w_state.t()).to(compute) + in.bias_state;
        const Tensor now = step(u[t].to(compute), of_state, h);
        h = in.flags_TB.defined() ? at::where(flagged(kPadding), h, now) : now;
        all.push_back(h.to(type));
    }
    return {all.empty() ? u.narrow(2, 0, in.w_state.size(1)) : at::stack(all), h};
}

}  // namespace lithe::ops
