#include "lithe/ops/dropout.h"

#include "lithe/kernels/cuda.h"
#include "lithe/kernels/dropout/dropout.h"
#include "lithe/ops/node.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

Tensor apply_dropout(const Tensor& in, double probability, const DropoutKey& key) {
    Tensor x = in.contiguous(), y = at::empty_like(x);
    for_storage(x.scalar_type(), "dropout", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        kernels::DropoutArgs<S> args{pointer<S>(x), pointer<S>(y), x.numel(),
                                     probability,   key.key,       pointer<uint64_t>(key.salt)};
        if (x.numel() == 0) return;
        if (x.is_cuda()) check_cuda(kernels::cuda_table()->of<S>().dropout(args, stream_of(x, "dropout")), "dropout");
        else kernels::dropout(args);
    });
    return y;
}

struct DropoutNode : torch::autograd::Node {
    double probability = 0;
    DropoutKey key;
    std::string name() const override { return "lithe::dropout backward"; }

    variable_list apply(variable_list&& gradients) override {
        return {gradients[0].defined() ? apply_dropout(gradients[0], probability, key) : Tensor()};
    }
};

}  // namespace

Tensor dropout(const Tensor& x, double probability, const DropoutKey& key) {
    if (probability <= 0) return x;
    Tensor y = apply_dropout(x.detach(), probability, key);
    if (needs_gradient(x)) {
        auto node = make_node<DropoutNode>(x);
        node->probability = probability;
        node->key = key;
        torch::autograd::set_history(y, node);
    }
    return y;
}

Tensor dropout_mask(at::IntArrayRef sizes, double probability, const DropoutKey& key, at::TensorOptions options) {
    return apply_dropout(at::ones(sizes, options), probability, key);
}

}  // namespace lithe::ops
