#include "lithe/ops/gru.h"

#include "lithe/ops/gated.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

// cuDNN, by LibTorch's operator.
GruOutput gru_of_device(const GruInput& in) {
    const auto type = in.x_TBI.scalar_type();
    const Tensor h0 =
        in.h0_BD.defined() ? in.h0_BD.to(type) : at::zeros({in.x_TBI.size(1), in.w_state.size(1)}, in.x_TBI.options());
    auto [h_TBD, h] =
        at::gru(in.x_TBI, h0.unsqueeze(0), {in.w_input, in.w_state, in.bias_input.to(type), in.bias_state.to(type)},
                true, 1, 0.0, at::GradMode::is_enabled(), false, false);
    return {h_TBD, h[0].to(in.bias_input.scalar_type())};
}

}  // namespace

GruOutput gru(const GruInput& in) {
    ProfileScope scope("lithe::gru");
    const int64_t width = in.w_state.size(-1);
    check(in.bias_state.sizes() == at::IntArrayRef({3 * width}), "gru",
          "bias " + shape_of(in.bias_state) + " is not [3 D] for D = " + std::to_string(width));
    GatedInput gated_in{.cell = kernels::GatedCell::gru,
                        .x_TBI = in.x_TBI,
                        .w_input = in.w_input,
                        .w_state = in.w_state,
                        .bias = in.bias_input,
                        .bias_D = in.bias_state.narrow(0, 2 * width, width),
                        .c0_BD = in.h0_BD,
                        .flags_TB = in.flags_TB};
    check_gated(gated_in, "gru");
    if (in.x_TBI.is_cuda() && !in.flags_TB.defined()) return gru_of_device(in);
    if (in.x_TBI.is_cuda() || in.x_TBI.numel() == 0) return gru_by_steps(in);
    // those of r and z may as well stand beside the input's
    gated_in.bias = in.bias_input + at::constant_pad_nd(in.bias_state.narrow(0, 0, 2 * width), {0, width});
    const GatedOutput out = gated(gated_in, "gru");
    return {out.h_TBD, out.c_BD};
}

GruOutput gru_by_steps(const GruInput& in) {
    return hidden_loop_by_steps(in, [](const Tensor& of_input, const Tensor& of_state, const Tensor& h) {
        const auto x = of_input.chunk(3, 1), s = of_state.chunk(3, 1);
        const Tensor r = (x[0] + s[0]).sigmoid(), z = (x[1] + s[1]).sigmoid(), n = (x[2] + r * s[2]).tanh();
        return n + z * (h - n);
    });
}

}  // namespace lithe::ops
