#include "lithe/ops/sru.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/recurrence.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

struct SruSaved {
    SruInput in;
    Tensor c_TBD;  // every state
};

template <class S>
kernels::SruForward<S> forward_args(const SruInput& in, const Tensor& h, const Tensor& c_all, const Tensor& c_last) {
    using C = kernels::Compute<S>;
    kernels::SruForward<S> args;
    args.shape = {.steps = in.u.size(0),
                  .batch = in.u.size(1),
                  .width = in.v_2D.size(1) / in.directions,
                  .directions = in.directions,
                  .planes = in.planes,
                  .tanh = in.tanh};
    args.u = pointer<S>(in.u);
    args.x = pointer<S>(in.x_TBD);
    args.v = pointer<C>(in.v_2D);
    args.bias = pointer<C>(in.bias_2D);
    args.c0 = pointer<C>(in.c0_BD);
    args.mask = pointer<C>(in.mask_BD);
    args.flags = pointer<uint8_t>(in.flags_TB);
    args.alpha = C(in.alpha);
    args.h = pointer<S>(h);
    args.c = pointer<C>(c_all);
    args.c_last = pointer<C>(c_last);
    return args;
}

struct SruNode : torch::autograd::Node {
    SruSaved saved;

    std::string name() const override { return "lithe::sru backward"; }

    variable_list apply(variable_list&& gradients) override {
        const SruInput& in = saved.in;
        check(in.u.defined(), "sru", "backward was run twice through a graph that was freed");
        Tensor dh = gradients[0].defined()
                        ? gradients[0].to(in.u.scalar_type()).contiguous()
                        : at::zeros_like(in.x_TBD.defined() ? in.x_TBD : saved.c_TBD.to(in.u.scalar_type()));
        Tensor dc = gradients[1].defined() ? gradients[1].contiguous() : Tensor();
        Tensor du = at::empty_like(in.u), dx = in.x_TBD.defined() ? at::empty_like(in.x_TBD) : Tensor();
        Tensor dv = at::empty_like(in.v_2D), dbias = at::empty_like(in.bias_2D);
        Tensor dc0 = at::empty({in.u.size(1), in.v_2D.size(1)}, in.v_2D.options());
        const int64_t parts = in.u.is_cuda() ? in.u.size(1) : kernels::sru_row_blocks(in.u.size(1));
        Tensor partial = at::empty({parts, 4, in.v_2D.size(1)}, in.v_2D.options());
        for_storage(in.u.scalar_type(), "sru", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            using C = kernels::Compute<S>;
            kernels::SruBackward<S> args;
            args.forward = forward_args<S>(in, Tensor(), saved.c_TBD, Tensor());
            args.dh = pointer<S>(dh), args.dc_last = pointer<C>(dc);
            args.du = pointer<S>(du), args.dx = pointer<S>(dx);
            args.dc0 = pointer<C>(dc0), args.partial = pointer<C>(partial), args.dv = pointer<C>(dv),
            args.dbias = pointer<C>(dbias);
            if (in.u.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().sru_backward(args, stream_of(in.u, "sru")), "sru");
            else kernels::sru_backward(args);
            add_work(0, kernels::sru_backward_bytes<S>(args.forward.shape));
        });
        return {du, dx, dv, dbias, in.c0_BD.defined() ? dc0 : Tensor()};
    }

    void release_variables() override { saved = {}; }
};

void check_shapes(const SruInput& in) {
    for_storage(in.u.scalar_type(), "sru", [](auto*) {});
    check(in.u.dim() == 3 && in.v_2D.dim() == 2 && in.v_2D.size(0) == 2, "sru",
          "expected u [T][B][planes D] and v [2][D], got " + shape_of(in.u) + " and " + shape_of(in.v_2D));
    const int64_t steps = in.u.size(0), batch = in.u.size(1), columns = in.v_2D.size(1);
    check(in.planes == 3 || in.planes == 4, "sru", "planes is 3 or 4");
    check(columns % in.directions == 0 && in.u.size(2) == in.planes * columns, "sru",
          "u " + shape_of(in.u) + " does not hold " + std::to_string(in.planes) + " planes of " +
              std::to_string(columns));
    check(in.bias_2D.sizes() == in.v_2D.sizes(), "sru",
          "bias " + shape_of(in.bias_2D) + " is not like v " + shape_of(in.v_2D));
    check(!in.x_TBD.defined() || (in.planes == 3 && in.x_TBD.sizes() == at::IntArrayRef({steps, batch, columns}) &&
                                  in.x_TBD.scalar_type() == in.u.scalar_type()),
          "sru", "skip input " + shape_of(in.x_TBD) + " does not fit u " + shape_of(in.u));
    auto compute = compute_type(in.u.scalar_type());
    for (const Tensor* each : {&in.v_2D, &in.bias_2D, &in.c0_BD, &in.mask_BD})
        check(!each->defined() || each->scalar_type() == compute, "sru",
              "v, bias, c0 and mask must be fp32 (fp64 for fp64 input)");
    for (const Tensor* each : {&in.c0_BD, &in.mask_BD})
        check(!each->defined() || each->sizes() == at::IntArrayRef({batch, columns}), "sru",
              "state or mask " + shape_of(*each) + " is not [B][D]");
    check_flags(in.flags_TB, in.u, "sru");
}

}  // namespace

SruOutput sru(const SruInput& input) {
    ProfileScope scope("lithe::sru");
    check_shapes(input);
    SruInput in = input;
    for (Tensor* each : {&in.u, &in.x_TBD, &in.v_2D, &in.bias_2D, &in.c0_BD, &in.mask_BD, &in.flags_TB})
        *each = plain(*each);
    const bool differentiate = needs_gradient(input.u, input.x_TBD, input.v_2D, input.bias_2D, input.c0_BD);
    const int64_t steps = in.u.size(0), batch = in.u.size(1), columns = in.v_2D.size(1);
    SruOutput out{at::empty({steps, batch, columns}, in.u.options()), at::empty({batch, columns}, in.v_2D.options())};
    Tensor c_all = differentiate ? at::empty({steps, batch, columns}, in.v_2D.options()) : Tensor();
    for_storage(in.u.scalar_type(), "sru", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        auto args = forward_args<S>(in, out.h_TBD, c_all, out.c_BD);
        if (steps == 0 || batch == 0) {
            if (in.c0_BD.defined()) out.c_BD.copy_(in.c0_BD);
            else out.c_BD.zero_();
        } else if (in.u.is_cuda()) {
            check_cuda(kernels::cuda_table()->of<S>().sru_forward(args, stream_of(in.u, "sru")), "sru");
        } else {
            kernels::sru_forward(args);
        }
        add_work(0, kernels::sru_forward_bytes<S>(args.shape, c_all.defined()));
    });
    if (differentiate && steps > 0 && batch > 0) {
        auto node = make_node<SruNode>(input.u, input.x_TBD, input.v_2D, input.bias_2D, input.c0_BD);
        node->saved = {in, c_all};
        torch::autograd::set_history({out.h_TBD, out.c_BD}, node);
    }
    return out;
}

}  // namespace lithe::ops
