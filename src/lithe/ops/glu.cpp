#include "lithe/ops/glu.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

template <class S> kernels::GluForward<S> args_of(const Tensor& x, const Tensor& y, kernels::GluGate gate) {
    const int64_t inner = x.size(-1) / 2;
    return {.gate = gate,
            .rows = inner > 0 ? x.numel() / (2 * inner) : 0,
            .inner = inner,
            .row = 2 * inner,
            .g = pointer<S>(x),
            .u = pointer<S>(x) + inner,
            .y = pointer<S>(y)};
}

Tensor backward(const Tensor& x, const Tensor& dy, kernels::GluGate gate) {
    Tensor dx = at::empty_like(x);
    for_storage(x.scalar_type(), "glu", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        const auto forward = args_of<S>(x, Tensor(), gate);
        const kernels::GluBackward<S> args{forward, pointer<S>(dy), pointer<S>(dx), pointer<S>(dx) + forward.inner};
        if (x.is_cuda())
            check_cuda(kernels::cuda_table()->of<S>().glu_backward(args, stream_of(x, "glu")), "glu backward");
        else kernels::glu_backward<S>(args);
    });
    return dx;
}

struct GluNode : torch::autograd::Node {
    Tensor x;
    kernels::GluGate gate = kernels::GluGate::silu;
    std::string name() const override { return "lithe::glu backward"; }
    variable_list apply(variable_list&& gradients) override {
        check(x.defined(), "glu", "backward was run twice through a graph that was freed");
        return {gradients[0].defined() ? backward(x, gradients[0].contiguous(), gate) : Tensor()};
    }
    void release_variables() override { x.reset(); }
};

}  // namespace

Tensor glu(const Tensor& given, kernels::GluGate gate) {
    ProfileScope scope("lithe::glu");
    check(given.dim() >= 1 && given.size(-1) % 2 == 0, "glu", shape_of(given) + " does not hold two halves");
    const Tensor x = given.detach().contiguous();
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes.back() /= 2;
    Tensor y = at::empty(sizes, x.options());
    for_storage(x.scalar_type(), "glu", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        const auto args = args_of<S>(x, y, gate);
        if (x.is_cuda()) check_cuda(kernels::cuda_table()->of<S>().glu_forward(args, stream_of(x, "glu")), "glu");
        else kernels::glu_forward<S>(args);
    });
    if (needs_gradient(given)) {
        auto node = make_node<GluNode>(given);
        node->x = x;
        node->gate = gate;
        torch::autograd::set_history(y, node);
    }
    return y;
}

}  // namespace lithe::ops
