#include "lithe/ops/diagonal_state.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/recurrence.h"

namespace lithe::ops {
namespace {

using kernels::DiagonalForm;
using torch::autograd::variable_list;

constexpr const char* kName = "diagonal_state";

kernels::DiagonalShape shape_of_layer(const DiagonalInput& in) {
    return {.form = in.form,
            .steps = in.x_TBX.size(0),
            .batch = in.x_TBX.size(1),
            .width = in.a_PND.size(2),
            .states = in.a_PND.size(1)};
}

at::DimVector state_sizes(const kernels::DiagonalShape& shape) {
    return {shape.batch, kernels::parts_of(shape.form), shape.states, shape.width};
}

template <class S> kernels::DiagonalForward<S> forward_args(const DiagonalInput& in, const Tensor& kept) {
    using C = kernels::Compute<S>;
    kernels::DiagonalForward<S> args;
    args.shape = shape_of_layer(in);
    args.x = pointer<S>(in.x_TBX);
    args.a = pointer<C>(in.a_PND);
    args.c = pointer<C>(in.c_PND);
    args.s0 = pointer<C>(in.s0_BPND);
    args.flags = pointer<uint8_t>(in.flags_TB);
    args.kept = pointer<C>(kept);
    return args;
}

struct DiagonalNode : torch::autograd::Node {
    DiagonalInput in;
    Tensor kept;

    std::string name() const override { return "lithe::diagonal_state backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(in.x_TBX.defined(), kName, "backward was run twice through a graph that was freed");
        const auto shape = shape_of_layer(in);
        const auto type = in.x_TBX.scalar_type();
        const Tensor dy = gradients[0].defined() ? gradients[0].to(type).contiguous() : at::zeros_like(in.x_TBX);
        const Tensor ds_last = plain(gradients[1]);
        const Tensor dx = at::empty_like(in.x_TBX), ds0 = at::empty(state_sizes(shape), in.a_PND.options());
        const int64_t parts = in.x_TBX.is_cuda() ? shape.batch : kernels::diagonal_row_blocks(shape.batch);
        const Tensor partial = at::empty({parts, 2, shape.state_numbers()}, in.a_PND.options());
        const Tensor dac = at::empty({2, kernels::parts_of(in.form), shape.states, shape.width}, in.a_PND.options());
        for_storage(type, kName, [&](auto* storage) {
            using S = std::remove_pointer_t<decltype(storage)>;
            using C = kernels::Compute<S>;
            kernels::DiagonalBackward<S> args;
            args.forward = forward_args<S>(in, kept);
            args.dy = pointer<S>(dy);
            args.ds_last = pointer<C>(ds_last);
            args.dx = pointer<S>(dx);
            args.ds0 = pointer<C>(ds0);
            args.partial = pointer<C>(partial);
            args.dac = pointer<C>(dac);
            if (in.x_TBX.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().diagonal_backward(args, stream_of(in.x_TBX, kName)), kName);
            else kernels::diagonal_backward(args);
            add_work(2 * kernels::diagonal_flops(shape), kernels::diagonal_bytes<S>(shape, true));
        });
        return {dx, dac[0], in.c_PND.defined() ? dac[1] : Tensor(), in.s0_BPND.defined() ? ds0 : Tensor()};
    }

    void release_variables() override {
        in = {};
        kept = Tensor();
    }
};

void check_input(const DiagonalInput& in) {
    for_storage(in.x_TBX.scalar_type(), kName, [](auto*) {});
    const bool pairs = in.form == DiagonalForm::pairs;
    check(in.x_TBX.dim() == 3 && in.a_PND.dim() == 3 && in.a_PND.size(0) == kernels::parts_of(in.form) &&
              in.x_TBX.size(2) == kernels::inputs_of(in.form) * in.a_PND.size(2) && in.a_PND.size(1) >= 1 &&
              (!pairs || in.a_PND.size(1) == 1),
          kName,
          std::string("x ") + shape_of(in.x_TBX) + " and a " + shape_of(in.a_PND) + " do not fit the form " +
              kernels::name_of(in.form));
    check(in.c_PND.defined() != pairs && (pairs || in.c_PND.sizes() == in.a_PND.sizes()), kName,
          pairs ? "pairs are not read: there is no c" : "c is not of a's sizes " + shape_of(in.a_PND));
    const auto shape = shape_of_layer(in);
    check(!in.s0_BPND.defined() || in.s0_BPND.sizes() == at::IntArrayRef(state_sizes(shape)), kName,
          "state " + shape_of(in.s0_BPND) + " is not [B][P][N][D] for a " + shape_of(in.a_PND));
    for (const Tensor* each : {&in.a_PND, &in.c_PND, &in.s0_BPND})
        check(!each->defined() || each->scalar_type() == compute_type(in.x_TBX.scalar_type()), kName,
              "a, c and states must be fp32 (fp64 for fp64 input)");
    check_flags(in.flags_TB, in.x_TBX, kName);
}

}  // namespace

DiagonalOutput diagonal_state(const DiagonalInput& input) {
    ProfileScope scope("lithe::diagonal_state");
    check_input(input);
    if (input.x_TBX.is_cuda() && !input.flags_TB.defined() && input.form != DiagonalForm::pairs &&
        input.x_TBX.size(0) > 1)
        return diagonal_convolution(input);
    DiagonalInput in = input;
    for (Tensor* each : {&in.x_TBX, &in.a_PND, &in.c_PND, &in.s0_BPND, &in.flags_TB}) *each = plain(*each);
    const bool differentiate = needs_gradient(input.x_TBX, input.a_PND, input.c_PND, input.s0_BPND);
    const auto shape = shape_of_layer(in);
    DiagonalOutput out{at::empty_like(in.x_TBX), at::empty(state_sizes(shape), in.a_PND.options())};
    if (in.x_TBX.numel() == 0) {
        if (in.s0_BPND.defined()) out.s_BPND.copy_(in.s0_BPND);
        else out.s_BPND.zero_();
        return out;
    }
    const Tensor kept =
        differentiate ? at::empty({shape.chunks(), shape.batch, shape.state_numbers()}, in.a_PND.options()) : Tensor();
    for_storage(in.x_TBX.scalar_type(), kName, [&](auto* storage) {
        using S = std::remove_pointer_t<decltype(storage)>;
        auto args = forward_args<S>(in, kept);
        args.y = pointer<S>(out.y_TBX);
        args.s_last = pointer<kernels::Compute<S>>(out.s_BPND);
        if (in.x_TBX.is_cuda())
            check_cuda(kernels::cuda_table()->of<S>().diagonal_forward(args, stream_of(in.x_TBX, kName)), kName);
        else kernels::diagonal_forward(args);
        add_work(kernels::diagonal_flops(shape), kernels::diagonal_bytes<S>(shape, false));
    });
    if (differentiate) {
        auto node = make_node<DiagonalNode>(input.x_TBX, input.a_PND, input.c_PND, input.s0_BPND);
        node->in = in;
        node->kept = kept;
        torch::autograd::set_history({out.y_TBX, out.s_BPND}, node);
    }
    return out;
}

DiagonalOutput diagonal_convolution(const DiagonalInput& in) {
    check_input(in);
    check(in.form != DiagonalForm::pairs && !in.flags_TB.defined(), kName, "pairs and flags are not convolved");
    const bool complex = in.form == DiagonalForm::complex;
    const int64_t steps = in.x_TBX.size(0);
    const auto type = in.a_PND.scalar_type();
    const auto joined = [&](const Tensor& parts, int64_t axis) {  // of P numbers, a complex one
        return complex ? at::complex(parts.select(axis, 0), parts.select(axis, 1)) : parts.select(axis, 0);
    };
    const auto real = [&](const Tensor& value) { return complex ? at::real(value) : value; };
    const Tensor x_TBD = in.x_TBX.to(type), a_ND = joined(in.a_PND, 0), c_ND = joined(in.c_PND, 0);
    const Tensor powers_TND = a_ND.pow(at::arange(steps + 1, in.a_PND.options()).view({-1, 1, 1}));  // a^0 ... a^T
    const Tensor answer_TD = real((powers_TND.narrow(0, 0, steps) * c_ND).sum(1));
    const Tensor product = at::fft_rfft(x_TBD, 2 * steps, 0) * at::fft_rfft(answer_TD, 2 * steps, 0).unsqueeze(1);
    Tensor y_TBD = at::fft_irfft(product, 2 * steps, 0).narrow(0, 0, steps);
    Tensor s_BND = at::einsum("tnd,tbd->bnd", {powers_TND.narrow(0, 0, steps).flip(0), x_TBD.to(a_ND.scalar_type())});
    if (in.s0_BPND.defined()) {
        const Tensor s0_BND = joined(in.s0_BPND, 1);
        y_TBD = y_TBD + real(at::einsum("tnd,bnd->tbd", {powers_TND.narrow(0, 1, steps) * c_ND, s0_BND}));
        s_BND = s_BND + powers_TND[steps] * s0_BND;
    }
    const Tensor s_BPND = complex ? at::stack({at::real(s_BND), at::imag(s_BND)}, 1) : s_BND.unsqueeze(1);
    return {y_TBD.to(in.x_TBX.scalar_type()), s_BPND};
}

}  // namespace lithe::ops
