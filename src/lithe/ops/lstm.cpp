#include "lithe/ops/lstm.h"

#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/recurrence.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

// What the backward pass needs; h without its history, which would hold the node that holds it.
struct LstmSaved {
    LstmInput in;
    Tensor gates_TBG, h_TBD, c_TBD;
};

kernels::LstmShape shape_of_layer(const LstmInput& in) {
    return {.steps = in.x_TBI.size(0), .batch = in.x_TBI.size(1), .width = in.w_state.size(1)};
}

Tensor rows(const Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }

template <class S>
kernels::LstmForward<S> forward_args(const LstmInput& in, const Tensor& h0, const Tensor& workspace) {
    using C = kernels::Compute<S>;
    kernels::LstmForward<S> args;
    args.shape = shape_of_layer(in);
    args.w = pointer<S>(in.w_state);
    args.h0 = pointer<S>(h0);
    args.c0 = pointer<C>(in.c0_BD);
    args.flags = pointer<uint8_t>(in.flags_TB);
    args.workspace = pointer<C>(workspace);
    return args;
}

Tensor make_workspace(const LstmInput& in) {
    return at::empty({kernels::lstm_workspace(in.w_state.size(1))}, in.bias.options());
}

// h_{t-1} of every step: zeros where a row begins anew.
Tensor states_before(const LstmSaved& saved) {
    const LstmInput& in = saved.in;
    const Tensor first = in.h0_BD.defined() ? in.h0_BD.to(in.x_TBI.scalar_type()) : at::zeros_like(saved.h_TBD[0]);
    const Tensor before = at::cat({first.unsqueeze(0), saved.h_TBD.narrow(0, 0, saved.h_TBD.size(0) - 1)});
    if (!in.flags_TB.defined()) return before;
    return before.masked_fill(in.flags_TB.bitwise_and(kDocumentBegins).to(at::kBool).unsqueeze(-1), 0);
}

struct LstmNode : torch::autograd::Node {
    LstmSaved saved;

    std::string name() const override { return "lithe::lstm backward"; }

    variable_list apply(variable_list&& gradients) override {
        const LstmInput& in = saved.in;
        check(in.x_TBI.defined(), "lstm", "backward was run twice through a graph that was freed");
        const auto type = in.x_TBI.scalar_type();
        const Tensor dh = gradients[0].defined() ? gradients[0].to(type).contiguous() : at::zeros_like(saved.h_TBD);
        const Tensor dc = gradients[1].defined() ? gradients[1].contiguous() : Tensor();
        const Tensor du = at::empty_like(saved.gates_TBG), workspace = make_workspace(in);
        const Tensor dh0 = at::empty({dh.size(1), dh.size(2)}, in.bias.options()), dc0 = at::empty_like(dh0);
        for_storage(type, "lstm", [&](auto* storage) {
            using S = std::remove_pointer_t<decltype(storage)>;
            using C = kernels::Compute<S>;
            kernels::LstmBackward<S> args;
            args.forward = forward_args<S>(in, Tensor(), workspace);
            args.forward.gates = pointer<S>(saved.gates_TBG), args.forward.c = pointer<C>(saved.c_TBD);
            args.dh = pointer<S>(dh), args.dc_last = pointer<C>(dc);
            args.du = pointer<S>(du), args.dh0 = pointer<C>(dh0), args.dc0 = pointer<C>(dc0);
            kernels::lstm_backward(args);
            add_work(kernels::lstm_flops(args.forward.shape), double(du.nbytes() * 2 + dh.nbytes() * 3));
        });
        const Tensor du_rows = rows(du), du_turned = du_rows.t();
        return {at::mm(du_rows, in.w_input).view(in.x_TBI.sizes()),
                at::mm(du_turned, rows(in.x_TBI)),
                at::mm(du_turned, rows(states_before(saved))),
                du_rows.sum(0, false, in.bias.scalar_type()),
                in.h0_BD.defined() ? dh0 : Tensor(),
                in.c0_BD.defined() ? dc0 : Tensor()};
    }

    void release_variables() override { saved = {}; }
};

void check_input(const LstmInput& in) {
    for_storage(in.x_TBI.scalar_type(), "lstm", [](auto*) {});
    check(in.x_TBI.dim() == 3 && in.w_state.dim() == 2 && in.w_input.dim() == 2, "lstm",
          "expected x [T][B][I], w_input [4 D][I], w_state [4 D][D], got " + shape_of(in.x_TBI) + ", " +
              shape_of(in.w_input) + ", " + shape_of(in.w_state));
    const int64_t width = in.w_state.size(1), batch = in.x_TBI.size(1);
    check(in.w_state.size(0) == 4 * width && in.w_input.sizes() == at::IntArrayRef({4 * width, in.x_TBI.size(2)}),
          "lstm",
          "weights " + shape_of(in.w_input) + " and " + shape_of(in.w_state) + " do not fit x " + shape_of(in.x_TBI));
    check(in.bias.sizes() == at::IntArrayRef({4 * width}), "lstm",
          "bias " + shape_of(in.bias) + " is not [4 D] for D = " + std::to_string(width));
    for (const Tensor* each : {&in.w_input, &in.w_state})
        check(each->scalar_type() == in.x_TBI.scalar_type(), "lstm", "weights and x differ in type");
    for (const Tensor* each : {&in.bias, &in.h0_BD, &in.c0_BD})
        check(!each->defined() || each->scalar_type() == compute_type(in.x_TBI.scalar_type()), "lstm",
              "bias and states must be fp32 (fp64 for fp64 input)");
    for (const Tensor* each : {&in.h0_BD, &in.c0_BD})
        check(!each->defined() || each->sizes() == at::IntArrayRef({batch, width}), "lstm",
              "state " + shape_of(*each) + " is not [B][D]");
    check_flags(in.flags_TB, in.x_TBI, "lstm");
}

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

LstmOutput lstm_of_kernel(const LstmInput& input) {
    LstmInput in = input;
    for (Tensor* each : {&in.x_TBI, &in.w_input, &in.w_state, &in.bias, &in.h0_BD, &in.c0_BD, &in.flags_TB})
        *each = plain(*each);
    const bool differentiate =
        needs_gradient(input.x_TBI, input.w_input, input.w_state, input.bias, input.h0_BD, input.c0_BD);
    const auto shape = shape_of_layer(in);
    const auto type = in.x_TBI.scalar_type();
    Tensor u;  // takes the gates as they are made
    {
        at::NoGradGuard guard;
        u = at::linear(in.x_TBI, in.w_input, in.bias.to(type));
    }
    LstmOutput out{at::empty({shape.steps, shape.batch, shape.width}, in.x_TBI.options()), Tensor(),
                   at::empty({shape.batch, shape.width}, in.bias.options())};
    const Tensor h0 = in.h0_BD.defined() ? in.h0_BD.to(type) : Tensor(), workspace = make_workspace(in);
    const Tensor c_all =
        differentiate ? at::empty({shape.steps, shape.batch, shape.width}, in.bias.options()) : Tensor();
    for_storage(type, "lstm", [&](auto* storage) {
        using S = std::remove_pointer_t<decltype(storage)>;
        using C = kernels::Compute<S>;
        auto args = forward_args<S>(in, h0, workspace);
        args.u = pointer<S>(u), args.h = pointer<S>(out.h_TBD), args.c_last = pointer<C>(out.c_BD);
        if (differentiate) args.gates = pointer<S>(u), args.c = pointer<C>(c_all);
        kernels::lstm_forward(args);
        add_work(kernels::lstm_flops(shape), double(u.nbytes() + out.h_TBD.nbytes()));
    });
    if (differentiate) {
        auto node =
            make_node<LstmNode>(input.x_TBI, input.w_input, input.w_state, input.bias, input.h0_BD, input.c0_BD);
        node->saved = {in, u, out.h_TBD.detach(), c_all};
        torch::autograd::set_history({out.h_TBD, out.c_BD}, node);
    }
    out.h_BD = out.h_TBD[-1].to(in.bias.scalar_type());
    return out;
}

}  // namespace

LstmOutput lstm(const LstmInput& input) {
    ProfileScope scope("lithe::lstm");
    check_input(input);
    if (input.x_TBI.is_cuda() && !input.flags_TB.defined()) return lstm_of_device(input);
    if (input.x_TBI.is_cuda() || input.x_TBI.numel() == 0) return lstm_by_steps(input);
    return lstm_of_kernel(input);
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
            h = h.masked_fill(reset, 0), c = c.masked_fill(reset, 0);
        }
        const auto gates = (u[t].to(compute) + at::mm(h, in.w_state.t()).to(compute)).chunk(4, 1);
        Tensor c_now = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
        Tensor h_now = (gates[3].sigmoid() * c_now.tanh()).to(type);
        if (in.flags_TB.defined()) {
            const Tensor pad = flagged(kPadding);
            h_now = at::where(pad, h, h_now), c_now = at::where(pad, c, c_now);
        }
        h = h_now, c = c_now;
        all.push_back(h);
    }
    return {all.empty() ? u.narrow(2, 0, in.w_state.size(1)) : at::stack(all), h.to(compute), c};
}

}  // namespace lithe::ops
