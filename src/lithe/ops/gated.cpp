#include "lithe/ops/gated.h"

#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/recurrence.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

// What the backward pass needs; h without its history, which would hold the node that holds it.
struct Saved {
    GatedInput in;
    Tensor gates_TBG, h_TBD, c_TBD;
};

kernels::GatedShape shape_of_layer(const GatedInput& in) {
    return {.cell = in.cell,
            .steps = in.x_TBI.size(0),
            .batch = in.x_TBI.size(1),
            .width = in.w_state.size(1),
            .heads = in.heads};
}

at::TensorOptions compute_options(const GatedInput& in) {
    return in.x_TBI.options().dtype(compute_type(in.x_TBI.scalar_type()));
}

Tensor rows(const Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }

// h before the first step, in storage.
Tensor first_state(const GatedInput& in) {
    const Tensor& from = kernels::traits_of(in.cell).shows_state ? in.c0_BD : in.h0_BD;
    return from.defined() ? from.to(in.x_TBI.scalar_type()) : Tensor();
}

template <class S>
kernels::GatedForward<S> forward_args(const GatedInput& in, const Tensor& h0, const Tensor& workspace) {
    using C = kernels::Compute<S>;
    kernels::GatedForward<S> args;
    args.shape = shape_of_layer(in);
    args.w = pointer<S>(in.w_state);
    args.b = pointer<C>(in.bias_D);
    args.h0 = pointer<S>(h0);
    args.c0 = pointer<C>(in.c0_BD);
    args.l0 = pointer<C>(in.l0_BD);
    args.flags = pointer<uint8_t>(in.flags_TB);
    args.workspace = pointer<C>(workspace);
    return args;
}

Tensor make_workspace(const GatedInput& in) {
    return at::empty({kernels::gated_workspace(shape_of_layer(in))}, compute_options(in));
}

// h_{t-1} of every step: zeros where a row begins anew.
Tensor states_before(const Saved& saved) {
    const Tensor h0 = first_state(saved.in), first = h0.defined() ? h0 : at::zeros_like(saved.h_TBD[0]);
    const Tensor before = at::cat({first.unsqueeze(0), saved.h_TBD.narrow(0, 0, saved.h_TBD.size(0) - 1)});
    const Tensor& flags = saved.in.flags_TB;
    if (!flags.defined()) return before;
    return before.masked_fill(flags.bitwise_and(kDocumentBegins).to(at::kBool).unsqueeze(-1), 0);
}

struct GatedNode : torch::autograd::Node {
    Saved saved;

    std::string name() const override { return "lithe::gated backward"; }

    variable_list apply(variable_list&& gradients) override {
        const GatedInput& in = saved.in;
        check(in.x_TBI.defined(), "gated", "backward was run twice through a graph that was freed");
        const auto type = in.x_TBI.scalar_type();
        const Tensor dh = gradients[0].defined() ? gradients[0].to(type).contiguous() : at::zeros_like(saved.h_TBD);
        const Tensor dc = plain(gradients[1]), dl = gradients.size() > 2 ? plain(gradients[2]) : Tensor();
        const Tensor du = at::empty_like(saved.gates_TBG), workspace = make_workspace(in);
        const Tensor dh0 = at::empty({dh.size(1), dh.size(2)}, compute_options(in)), dc0 = at::empty_like(dh0),
                     dl0 = at::empty_like(dh0);
        for_storage(type, "gated", [&](auto* storage) {
            using S = std::remove_pointer_t<decltype(storage)>;
            using C = kernels::Compute<S>;
            kernels::GatedBackward<S> args;
            args.forward = forward_args<S>(in, Tensor(), workspace);
            args.forward.gates = pointer<S>(saved.gates_TBG);
            args.forward.c = pointer<C>(saved.c_TBD);
            args.dh = pointer<S>(dh);
            args.dc_last = pointer<C>(dc);
            args.dl_last = pointer<C>(dl);
            args.du = pointer<S>(du);
            args.dh0 = pointer<C>(dh0);
            args.dc0 = pointer<C>(dc0);
            args.dl0 = pointer<C>(dl0);
            kernels::gated_backward(args);
            add_work(kernels::gated_flops(args.forward.shape), double(du.nbytes() * 2 + dh.nbytes() * 3));
        });
        if (in.cell == kernels::GatedCell::slstm) return of_heads(du, dh0, dc0, dl0);
        return of_inputs(rows(du), dh0, dc0);
    }

    // Where u is the input: of heads that do not meet.
    variable_list of_heads(const Tensor& du, const Tensor& dh0, const Tensor& dc0, const Tensor& dl0) const {
        const GatedInput& in = saved.in;
        const auto by_head = [&](const Tensor& x) { return x.reshape({-1, in.heads, x.size(-1) / in.heads}); };
        const Tensor dw = at::bmm(by_head(du).permute({1, 2, 0}), by_head(states_before(saved)).transpose(0, 1));
        const auto if_given = [](const Tensor& given, const Tensor& gradient) {
            return given.defined() ? gradient : Tensor();
        };
        return {du.view(in.x_TBI.sizes()),
                Tensor(),
                dw.view(in.w_state.sizes()),
                Tensor(),
                rows(du).sum(0, false, in.bias_D.scalar_type()),
                if_given(in.h0_BD, dh0),
                if_given(in.c0_BD, dc0),
                if_given(in.l0_BD, dl0)};
    }

    // From the gradients of the four kept planes and of the first states.
    variable_list of_inputs(const Tensor& du, const Tensor& dh0, const Tensor& dc0) const {
        const GatedInput& in = saved.in;
        const int64_t d = in.w_state.size(1), gates = kernels::traits_of(in.cell).gates;
        const Tensor of_input = du.narrow(1, 0, gates * d), before = rows(states_before(saved));
        const Tensor sums = du.sum(0, false, in.bias.scalar_type());
        variable_list list = {at::mm(of_input, in.w_input).view(in.x_TBI.sizes()), at::mm(of_input.t(), rows(in.x_TBI)),
                              Tensor(), sums.narrow(0, 0, gates * d)};
        if (in.cell == kernels::GatedCell::lstm) {
            list[2] = at::mm(du.t(), before);
            list.insert(list.end(),
                        {Tensor(), in.h0_BD.defined() ? dh0 : Tensor(), in.c0_BD.defined() ? dc0 : Tensor(), Tensor()});
            return list;
        }
        // the last product with the state has the fourth plane; c0 stands for h0, too
        const Tensor last = at::mm(du.narrow(1, 3 * d, d).t(), before);
        list[2] = gates == 1 ? last : at::cat({at::mm(du.narrow(1, 0, (gates - 1) * d).t(), before), last});
        list.insert(list.end(),
                    {sums.narrow(0, 3 * d, d), Tensor(), in.c0_BD.defined() ? dh0 + dc0 : Tensor(), Tensor()});
        return list;
    }

    void release_variables() override { saved = {}; }
};

void check_weights(const GatedInput& in, const char* op) {
    const int64_t gates = kernels::traits_of(in.cell).gates, width = in.w_state.size(1);
    const std::string planes = std::to_string(gates);
    check(in.x_TBI.dim() == 3 && in.w_state.dim() == 2 && in.w_input.dim() == 2, op,
          "expected x [T][B][I], w_input [" + planes + " D][I], w_state [" + planes + " D][D], got " +
              shape_of(in.x_TBI) + ", " + shape_of(in.w_input) + ", " + shape_of(in.w_state));
    check(
        in.w_state.size(0) == gates * width && in.w_input.sizes() == at::IntArrayRef({gates * width, in.x_TBI.size(2)}),
        op, "weights " + shape_of(in.w_input) + " and " + shape_of(in.w_state) + " do not fit x " + shape_of(in.x_TBI));
    check(in.bias.sizes() == at::IntArrayRef({gates * width}), op,
          "bias " + shape_of(in.bias) + " is not [" + planes + " D] for D = " + std::to_string(width));
}

void check_heads(const GatedInput& in, const char* op) {
    const int64_t rows = in.heads * kernels::traits_of(in.cell).gates * in.w_state.size(-1);
    check(in.x_TBI.dim() == 3 && in.w_state.dim() == 2 && in.w_state.size(0) == rows && in.x_TBI.size(2) == rows &&
              in.bias_D.sizes() == at::IntArrayRef({rows}),
          op,
          "expected u [T][B][4 D], w_state [4 D][D / heads] and bias [4 D], got " + shape_of(in.x_TBI) + ", " +
              shape_of(in.w_state) + " and " + shape_of(in.bias_D) + " for " + std::to_string(in.heads) + " heads");
}

}  // namespace

void check_gated(const GatedInput& in, const char* op) {
    for_storage(in.x_TBI.scalar_type(), op, [](auto*) {});
    if (in.cell == kernels::GatedCell::slstm) check_heads(in, op);
    else check_weights(in, op);
    for (const Tensor* each : {&in.w_input, &in.w_state})
        check(!each->defined() || each->scalar_type() == in.x_TBI.scalar_type(), op, "weights and x differ in type");
    for (const Tensor* each : {&in.bias, &in.bias_D, &in.h0_BD, &in.c0_BD, &in.l0_BD})
        check(!each->defined() || each->scalar_type() == compute_type(in.x_TBI.scalar_type()), op,
              "bias and states must be fp32 (fp64 for fp64 input)");
    const int64_t batch = in.x_TBI.size(1), width = in.heads * in.w_state.size(1);
    for (const Tensor* each : {&in.h0_BD, &in.c0_BD, &in.l0_BD})
        check(!each->defined() || each->sizes() == at::IntArrayRef({batch, width}), op,
              "state " + shape_of(*each) + " is not [B][D]");
    check_flags(in.flags_TB, in.x_TBI, op);
}

namespace {

// What the loop writes: gates and every c for the backward pass alone.
struct Made {
    GatedOutput out;
    Tensor gates, c_all;
};

Made make_outputs(const GatedInput& in, const Tensor& u, bool differentiate) {
    const kernels::GatedShape shape = shape_of_layer(in);
    const auto storage = in.x_TBI.options(), compute = compute_options(in);
    const int64_t width = shape.heads * shape.width;
    Made made;
    made.out.h_TBD = at::empty({shape.steps, shape.batch, width}, storage);
    made.out.c_BD = at::empty({shape.batch, width}, compute);
    if (shape.traits().has_normaliser) made.out.l_BD = at::empty_like(made.out.c_BD);
    if (!differentiate) return made;
    made.c_all = at::empty({shape.steps, shape.batch, width}, compute);
    // u of its own takes the gates as they are made
    const bool own = in.w_input.defined() && shape.gates() == kernels::kKeptGates;
    made.gates = own ? u : at::empty({shape.steps, shape.batch, kernels::kKeptGates * width}, storage);
    return made;
}

}  // namespace

GatedOutput gated(const GatedInput& input, const char* op) {
    GatedInput in = input;
    for (Tensor* each :
         {&in.x_TBI, &in.w_input, &in.w_state, &in.bias, &in.bias_D, &in.h0_BD, &in.c0_BD, &in.l0_BD, &in.flags_TB})
        *each = plain(*each);
    const bool differentiate = needs_gradient(input.x_TBI, input.w_input, input.w_state, input.bias, input.bias_D,
                                              input.h0_BD, input.c0_BD, input.l0_BD);
    const auto shape = shape_of_layer(in);
    const auto type = in.x_TBI.scalar_type();
    Tensor u = in.x_TBI;
    if (in.w_input.defined()) {
        at::NoGradGuard guard;
        u = at::linear(in.x_TBI, in.w_input, in.bias.to(type));
    }
    const Tensor h0 = first_state(in), workspace = make_workspace(in);
    const Made made = make_outputs(in, u, differentiate);
    const GatedOutput& out = made.out;
    for_storage(type, op, [&](auto* storage) {
        using S = std::remove_pointer_t<decltype(storage)>;
        using C = kernels::Compute<S>;
        auto args = forward_args<S>(in, h0, workspace);
        args.u = pointer<S>(u);
        args.h = pointer<S>(out.h_TBD);
        args.c_last = pointer<C>(out.c_BD);
        args.l_last = pointer<C>(out.l_BD);
        args.gates = pointer<S>(made.gates);
        args.c = pointer<C>(made.c_all);
        kernels::gated_forward(args);
        add_work(kernels::gated_flops(shape), double(u.nbytes() + out.h_TBD.nbytes()));
    });
    if (differentiate) {
        auto node = make_node<GatedNode>(input.x_TBI, input.w_input, input.w_state, input.bias, input.bias_D,
                                         input.h0_BD, input.c0_BD, input.l0_BD);
        // of u the sizes: gates serve in its place
        if (!in.w_input.defined()) in.x_TBI = at::empty({1}, u.options()).expand(u.sizes());
        node->saved = {in, made.gates, out.h_TBD.detach(), made.c_all};
        variable_list outputs = {out.h_TBD, out.c_BD};
        if (out.l_BD.defined()) outputs.push_back(out.l_BD);
        torch::autograd::set_history(outputs, node);
    }
    return out;
}

}  // namespace lithe::ops
