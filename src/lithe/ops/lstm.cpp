#include "lithe/ops/lstm.h"

#include "lithe/base/position_flags.h"
#include "lithe/ops/gated.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

// cuDNN, by LibTorch's operator.
LstmOutput lstm_of_device(const LstmInput& in) {
    const auto type = in.x_TBI.scalar_type();
    const auto state = [&](const Tensor& given) {
        const Tensor s =
            given.defined() ? given.to(type) : at::zeros({in.x_TBI.size(1), in.w_state.size(1)}, in.x_TBI.options());
        return s.unsqueeze(0);
    };
    const Tensor bias = in.bias.to(type);
    auto [h_TBD, h, c] =
        at::lstm(in.x_TBI, {state(in.h0_BD), state(in.c0_BD)}, {in.w_input, in.w_state, bias, at::zeros_like(bias)},
                 true, 1, 0.0, at::GradMode::is_enabled(), false, false);
    return {h_TBD, h[0].to(in.bias.scalar_type()), c[0].to(in.bias.scalar_type())};
}

}  // namespace

LstmOutput lstm(const LstmInput& in) {
    ProfileScope scope("lithe::lstm");
    const GatedInput gated_in{.cell = kernels::GatedCell::lstm,
                              .x_TBI = in.x_TBI,
                              .w_input = in.w_input,
                              .w_state = in.w_state,
                              .bias = in.bias,
                              .h0_BD = in.h0_BD,
                              .c0_BD = in.c0_BD,
                              .flags_TB = in.flags_TB};
    check_gated(gated_in, "lstm");
    if (in.x_TBI.is_cuda() && !in.flags_TB.defined()) return lstm_of_device(in);
    if (in.x_TBI.is_cuda() || in.x_TBI.numel() == 0) return lstm_by_steps(in);
    const GatedOutput out = gated(gated_in, "lstm");
    return {out.h_TBD, out.h_TBD[-1].to(in.bias.scalar_type()), out.c_BD};
}

LstmOutput lstm_by_steps(const LstmInput& in) {
    const auto type = in.x_TBI.scalar_type(), compute = in.bias.scalar_type();
    const auto zeros = at::zeros({in.x_TBI.size(1), in.w_state.size(1)}, in.bias.options().requires_grad(false));
    const Tensor u = at::linear(in.x_TBI, in.w_input, in.bias.to(type));
    Tensor h = (in.h0_BD.defined() ? in.h0_BD : zeros).to(type), c = in.c0_BD.defined() ? in.c0_BD : zeros;
    std::vector<Tensor> all;
    for (int64_t t = 0; t < in.x_TBI.size(0); ++t) {
        const auto flagged = [&](uint8_t flag) { return in.flags_TB[t].bitwise_and(flag).to(at::kBool).unsqueeze(-1); };
        if (in.flags_TB.defined()) {
            const Tensor reset = flagged(kDocumentBegins);
            h = h.masked_fill(reset, 0);
            c = c.masked_fill(reset, 0);
        }
        const auto gates = (u[t].to(compute) + at::mm(h, in.w_state.t()).to(compute)).chunk(4, 1);
        Tensor c_now = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
        Tensor h_now = (gates[3].sigmoid() * c_now.tanh()).to(type);
        if (in.flags_TB.defined()) {
            const Tensor pad = flagged(kPadding);
            h_now = at::where(pad, h, h_now);
            c_now = at::where(pad, c, c_now);
        }
        h = h_now;
        c = c_now;
        all.push_back(h);
    }
    return {all.empty() ? u.narrow(2, 0, in.w_state.size(1)) : at::stack(all), h.to(compute), c};
}

}  // namespace lithe::ops
