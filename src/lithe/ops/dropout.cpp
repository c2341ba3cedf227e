#include "lithe/ops/dropout.h"

#include "lithe/kernels/cuda.h"
#include "lithe/kernels/dropout/dropout.h"
#include "lithe/ops/node.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

// Which mask, and how the kernel sees the tensor that it falls on: the number of elements follows.
struct Drop {
    double probability = 0;
    DropoutKey key;
    int64_t outer = 1, rows = 1, heads = 1, steps = 1;

    Tensor apply(const Tensor& in) const {
        Tensor x = in.contiguous(), y = at::empty_like(x);
        if (x.numel() == 0) return y;
        for_storage(x.scalar_type(), "dropout", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            const kernels::DropoutArgs<S> args{.in = pointer<S>(x),
                                               .out = pointer<S>(y),
                                               .outer = outer,
                                               .rows = rows,
                                               .heads = heads,
                                               .steps = steps,
                                               .inner = x.numel() / (outer * rows * heads * steps),
                                               .first_row = key.first_row,
                                               .probability = probability,
                                               .key = key.key,
                                               .salt = pointer<uint64_t>(key.salt)};
            if (x.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().dropout(args, stream_of(x, "dropout")), "dropout");
            else kernels::dropout(args);
        });
        return y;
    }
};

struct DropoutNode : torch::autograd::Node {
    Drop drop;
    std::string name() const override { return "lithe::dropout backward"; }

    variable_list apply(variable_list&& gradients) override {
        return {gradients[0].defined() ? drop.apply(gradients[0]) : Tensor()};
    }
};

Tensor differentiable(const Tensor& x, const Drop& drop) {
    Tensor y = drop.apply(x.detach());
    if (needs_gradient(x)) {
        auto node = make_node<DropoutNode>(x);
        node->drop = drop;
        torch::autograd::set_history(y, node);
    }
    return y;
}

}  // namespace

Tensor dropout(const Tensor& x, double probability, const DropoutKey& key, int64_t row_axis) {
    if (probability <= 0) return x;
    check(row_axis == kSharedByRows || (row_axis >= 0 && row_axis < x.dim()), "dropout",
          shape_of(x) + " has no axis " + std::to_string(row_axis) + " of rows");
    if (row_axis == kSharedByRows) return differentiable(x, {.probability = probability, .key = {key.key, key.salt}});
    int64_t outer = 1;
    for (int64_t axis = 0; axis < row_axis; ++axis) outer *= x.size(axis);
    return differentiable(x, {.probability = probability, .key = key, .outer = outer, .rows = x.size(row_axis)});
}

Tensor dropout_of_heads(const Tensor& p_NTS, int64_t heads, double probability, const DropoutKey& key) {
    if (probability <= 0) return p_NTS;
    check(p_NTS.dim() == 3 && p_NTS.size(0) % heads == 0, "dropout",
          "attention weights " + shape_of(p_NTS) + " do not hold " + std::to_string(heads) + " heads");
    return differentiable(p_NTS, {.probability = probability,
                                  .key = key,
                                  .rows = p_NTS.size(0) / heads,
                                  .heads = heads,
                                  .steps = p_NTS.size(1)});
}

Tensor dropout_mask(at::IntArrayRef sizes, double probability, const DropoutKey& key, at::TensorOptions options) {
    return Drop{.probability = probability, .key = key, .rows = sizes.at(0)}.apply(at::ones(sizes, options));
}

}  // namespace lithe::ops
