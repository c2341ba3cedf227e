#include "lithe/ops/softmax.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

kernels::SoftmaxMask mask_args(const AttentionMask& mask, const Tensor& scores, int64_t heads) {
    return {.batch = scores.size(0) / heads,
            .heads = heads,
            .queries = scores.size(1),
            .keys = scores.size(2),
            .causal = mask.causal,
            .window = mask.window,
            .hidden = pointer<uint8_t>(mask.hidden_BS),
            .first = pointer<int32_t>(mask.first_BT)};
}

struct SoftmaxNode : torch::autograd::Node {
    Tensor probabilities;
    AttentionMask mask;
    int64_t heads = 1;
    double scale = 1;

    std::string name() const override { return "lithe::softmax backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(probabilities.defined(), "softmax", "backward was run twice through a graph that was freed");
        if (!gradients[0].defined()) return {Tensor()};
        Tensor d = gradients[0].is_contiguous() ? gradients[0] : gradients[0].contiguous();
        gradients.clear();
        if (d.use_count() > 1) d = d.clone();  // somebody else holds it
        for_storage(d.scalar_type(), "softmax", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            kernels::SoftmaxBackward<S> args{mask_args(mask, d, heads), kernels::Compute<S>(scale),
                                             pointer<S>(probabilities), pointer<S>(d)};
            if (d.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().softmax_backward(args, stream_of(d, "softmax")), "softmax");
            else kernels::softmax_backward(args);
        });
        return {d};
    }

    void release_variables() override { probabilities.reset(); }
};

}  // namespace

void check_mask(const AttentionMask& mask, int64_t batch, int64_t steps, int64_t keys, const char* op) {
    check(!mask.hidden_BS.defined() || (mask.hidden_BS.sizes() == at::IntArrayRef({batch, keys}) &&
                                        mask.hidden_BS.scalar_type() == at::kByte && mask.hidden_BS.is_contiguous()),
          op, "hidden keys " + shape_of(mask.hidden_BS) + " are not [B][S] bytes");
    check(!mask.first_BT.defined() || (mask.first_BT.sizes() == at::IntArrayRef({batch, steps}) &&
                                       mask.first_BT.scalar_type() == at::kInt && mask.first_BT.is_contiguous()),
          op, "first keys " + shape_of(mask.first_BT) + " are not [B][T] int32");
}

Tensor masked_softmax_(Tensor scores, const AttentionMask& mask, int64_t heads, double scale) {
    ProfileScope scope("lithe::softmax");
    check(scores.dim() == 3 && scores.is_contiguous() && scores.size(0) % heads == 0 &&
              (!mask.causal || scores.size(2) >= scores.size(1)),
          "softmax",
          "expected contiguous scores [B H][T][S], with S >= T under a causal mask, got " + shape_of(scores));
    const int64_t batch = scores.size(0) / heads;
    check_mask(mask, batch, scores.size(1), scores.size(2), "softmax");
    Tensor p = scores.detach();
    for_storage(p.scalar_type(), "softmax", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        kernels::SoftmaxForward<S> args{mask_args(mask, p, heads), kernels::Compute<S>(scale), pointer<S>(p)};
        if (p.numel() == 0) return;
        if (p.is_cuda())
            check_cuda(kernels::cuda_table()->of<S>().softmax_forward(args, stream_of(p, "softmax")), "softmax");
        else kernels::softmax_forward(args);
    });
    if (needs_gradient(scores)) {
        auto node = make_node<SoftmaxNode>(scores);
        node->probabilities = p.detach();
        node->mask = mask;
        node->heads = heads;
        node->scale = scale;
        torch::autograd::set_history(p, node);
    }
    return p;
}

}  // namespace lithe::ops
