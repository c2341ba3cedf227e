#include "lithe/ops/norm.h"

#include "lithe/kernels/cuda.h"
#include "lithe/kernels/norm/norm.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

template <class S>
kernels::NormForward<S> norm_args(const Tensor& x, const Tensor& gain, double epsilon, const Tensor& add,
                                  const Tensor& scale, const Tensor& statistics) {
    using C = kernels::Compute<S>;
    const int64_t width = gain.numel();
    return {.rows = x.numel() / width,
            .width = width,
            .epsilon = epsilon,
            .x = pointer<S>(x),
            .add = pointer<S>(add),
            .scale = pointer<C>(scale),
            .gain = pointer<C>(gain),
            .statistics = pointer<C>(statistics)};
}

struct NormNode : torch::autograd::Node {
    Tensor x, add, scale, gain, statistics;
    double epsilon = 0;

    std::string name() const override { return "lithe::norm backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(x.defined(), "norm", "backward was run twice through a graph that was freed");
        if (!gradients[0].defined()) return variable_list(5);
        const Tensor dy = gradients[0].contiguous(), dx = at::empty_like(x),
                     d_add = add.defined() ? at::empty_like(add) : Tensor();
        const int64_t width = gain.numel();
        Tensor sums = at::empty({kernels::norm_chunks(x.numel() / width), 2 * width + 1}, gain.options());
        for_storage(x.scalar_type(), "norm", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            const kernels::NormBackward<S> args{norm_args<S>(x, gain, epsilon, add, scale, statistics), pointer<S>(dy),
                                                pointer<S>(dx), pointer<S>(d_add), pointer<kernels::Compute<S>>(sums)};
            if (x.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().norm_backward(args, stream_of(x, "norm")), "norm");
            else kernels::norm_backward(args);
        });
        sums = sums.sum(0);
        return {dx, d_add, add.defined() ? sums[2 * width].view(scale.sizes()) : Tensor(), sums.narrow(0, 0, width),
                sums.narrow(0, width, width)};
    }

    void release_variables() override {
        x.reset();
        add.reset();
        scale.reset();
        gain.reset();
        statistics.reset();
    }
};

void check_inputs(const Tensor& x, const Tensor& gain, const Tensor& bias, const Tensor& add, const Tensor& scale) {
    const auto type = compute_type(x.scalar_type());
    check(x.dim() > 0 && gain.dim() == 1 && gain.size(0) == x.size(-1) && gain.size(0) > 0 &&
              bias.sizes() == gain.sizes() && gain.scalar_type() == type && bias.scalar_type() == type,
          "norm", "gain " + shape_of(gain) + " and bias " + shape_of(bias) + " do not fit " + shape_of(x));
    check(!add.defined() || (add.sizes() == x.sizes() && add.scalar_type() == x.scalar_type() && scale.defined() &&
                             scale.numel() == 1 && scale.scalar_type() == type),
          "norm", "what is added, " + shape_of(add) + ", does not fit " + shape_of(x));
}

}  // namespace

Tensor layer_norm(const Tensor& x_in, const Tensor& gain, const Tensor& bias, double epsilon, const Tensor& add_in,
                  const Tensor& scale) {
    check_inputs(x_in, gain, bias, add_in, scale);
    ProfileScope scope("lithe::norm");
    const Tensor x = x_in.contiguous().detach(), add = add_in.defined() ? add_in.contiguous().detach() : Tensor();
    Tensor y = at::empty_like(x), statistics = at::empty({x.numel() / gain.numel(), 2}, gain.options());
    for_storage(x.scalar_type(), "norm", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        auto args = norm_args<S>(x, gain, epsilon, add, scale, statistics);
        args.bias = pointer<kernels::Compute<S>>(bias);
        args.y = pointer<S>(y);
        if (x.is_cuda()) check_cuda(kernels::cuda_table()->of<S>().norm_forward(args, stream_of(x, "norm")), "norm");
        else kernels::norm_forward(args);
    });
    if (needs_gradient(x_in, add_in, scale, gain, bias)) {
        auto node = make_node<NormNode>(x_in, add_in, scale, gain, bias);
        node->x = x;
        node->add = add;
        node->statistics = statistics;
        node->gain = gain.detach();
        node->epsilon = epsilon;
        if (scale.defined()) node->scale = scale.detach();
        torch::autograd::set_history(y, node);
    }
    return y;
}

}  // namespace lithe::ops
