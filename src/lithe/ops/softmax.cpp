#include "lithe/ops/softmax.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

AttentionSizes sizes_of(const Tensor& scores, int64_t heads) {
    return {scores.size(0) / heads, heads, scores.size(1), scores.size(2)};
}

struct SoftmaxNode : torch::autograd::Node {
    Tensor probabilities;
    AttentionMask mask;
    int64_t heads = 1;
    double scale = 1;

    std::string name() const override { return "lithe::softmax backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(probabilities.defined(), "softmax", "backward was run twice through a graph that was freed");
        Tensor d = gradients[0], d_lse = gradients.size() > 1 ? gradients[1] : Tensor();
        if (!d.defined() && !d_lse.defined()) return {Tensor()};
        d = d.defined() ? d.contiguous() : at::zeros_like(probabilities);
        if (d_lse.defined()) d_lse = d_lse.contiguous();
        gradients.clear();
        if (d.use_count() > 1) d = d.clone();  // somebody else holds it
        for_storage(d.scalar_type(), "softmax", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            kernels::SoftmaxBackward<S> args{mask_args(mask, sizes_of(d, heads)), kernels::Compute<S>(scale),
                                             pointer<S>(probabilities), pointer<S>(d),
                                             pointer<kernels::Compute<S>>(d_lse)};
            if (d.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().softmax_backward(args, stream_of(d, "softmax")), "softmax");
            else kernels::softmax_backward(args);
        });
        return {d};
    }

    void release_variables() override { probabilities.reset(); }
};

SoftmaxOutput softmax_(const Tensor& scores, const AttentionMask& mask, int64_t heads, double scale, bool with_lse) {
    ProfileScope scope("lithe::softmax");
    check(scores.dim() == 3 && scores.is_contiguous() && scores.size(0) % heads == 0 &&
              (!mask.causal || scores.size(2) >= scores.size(1)),
          "softmax",
          "expected contiguous scores [B H][T][S], with S >= T under a causal mask, got " + shape_of(scores));
    const AttentionSizes sizes = sizes_of(scores, heads);
    check_mask(mask, sizes, "softmax");
    SoftmaxOutput out{scores.detach(), {}};
    Tensor& p = out.probabilities;
    if (with_lse)
        out.lse = at::full({scores.size(0), scores.size(1)}, kernels::kNothing,
                           scores.options().dtype(compute_type(scores.scalar_type())).requires_grad(false));
    for_storage(p.scalar_type(), "softmax", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        kernels::SoftmaxForward<S> args{mask_args(mask, sizes), kernels::Compute<S>(scale), pointer<S>(p),
                                        pointer<kernels::Compute<S>>(out.lse)};
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
        if (with_lse) torch::autograd::set_history({p, out.lse}, node);
        else torch::autograd::set_history(p, node);
    }
    return out;
}

}  // namespace

void check_mask(const AttentionMask& mask, const AttentionSizes& sizes, const char* op) {
    check(!mask.hidden_BS.defined() || (mask.hidden_BS.sizes() == at::IntArrayRef({sizes.batch, sizes.keys}) &&
                                        mask.hidden_BS.scalar_type() == at::kByte && mask.hidden_BS.is_contiguous()),
          op, "hidden keys " + shape_of(mask.hidden_BS) + " are not [B][S] bytes");
    check(!mask.first_BT.defined() || (mask.first_BT.sizes() == at::IntArrayRef({sizes.batch, sizes.steps}) &&
                                       mask.first_BT.scalar_type() == at::kInt && mask.first_BT.is_contiguous()),
          op, "first keys " + shape_of(mask.first_BT) + " are not [B][T] int32");
    mask.spans.check(sizes.batch, sizes.heads, sizes.steps, sizes.keys, op);
}

kernels::SoftmaxMask mask_args(const AttentionMask& mask, const AttentionSizes& sizes) {
    return {.batch = sizes.batch,
            .heads = sizes.heads,
            .queries = sizes.steps,
            .keys = sizes.keys,
            .causal = mask.causal,
            .window = mask.window,
            .hidden = pointer<uint8_t>(mask.hidden_BS),
            .first = pointer<int32_t>(mask.first_BT),
            .ahead = mask.ahead,
            .spans = mask.spans.get()};
}

Tensor masked_softmax_(Tensor scores, const AttentionMask& mask, int64_t heads, double scale) {
    return softmax_(scores, mask, heads, scale, false).probabilities;
}

SoftmaxOutput masked_softmax_with_lse_(Tensor scores, const AttentionMask& mask, int64_t heads, double scale) {
    return softmax_(scores, mask, heads, scale, true);
}

}  // namespace lithe::ops
