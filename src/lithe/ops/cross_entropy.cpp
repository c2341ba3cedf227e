#include "lithe/ops/cross_entropy.h"

#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

template <class S>
kernels::CrossEntropyArgs<S> args_of(const Tensor& logits, const Tensor& bias, const Tensor& targets,
                                     const Tensor& lse) {
    using C = kernels::Compute<S>;
    kernels::CrossEntropyArgs<S> args;
    args.rows = logits.size(0), args.vocabulary = logits.size(1);
    args.logits = pointer<S>(logits), args.bias = pointer<C>(bias), args.targets = pointer<int64_t>(targets),
    args.lse = pointer<C>(lse);
    return args;
}

struct CrossEntropyNode : torch::autograd::Node {
    Tensor logits, bias, targets, lse;

    variable_list apply(variable_list&& gradients) override {
        check(logits.defined(), "cross_entropy", "backward was run twice; it writes over the logits");
        Tensor weight = gradients[0].contiguous();
        for_storage(logits.scalar_type(), "cross_entropy", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            auto args = args_of<S>(logits, bias, targets, lse);
            args.weight = pointer<kernels::Compute<S>>(weight);
            if (logits.is_cuda())
                check_cuda(
                    kernels::cuda_table()->of<S>().cross_entropy_backward(args, stream_of(logits, "cross_entropy")),
                    "cross_entropy");
            else kernels::cross_entropy_backward(args);
        });
        Tensor d = std::move(logits);
        return {d, d.sum(at::IntArrayRef{0}, false, bias.scalar_type())};
    }

    void release_variables() override {
        for (Tensor* each : {&logits, &bias, &targets, &lse}) each->reset();
    }
};

}  // namespace

Tensor cross_entropy(const Tensor& logits_NV, const Tensor& bias_V, const Tensor& targets_N) {
    check(logits_NV.dim() == 2 && targets_N.dim() == 1 && targets_N.size(0) == logits_NV.size(0) &&
              targets_N.scalar_type() == at::kLong && bias_V.dim() == 1 && bias_V.size(0) == logits_NV.size(1),
          "cross_entropy",
          "logits " + shape_of(logits_NV) + ", bias " + shape_of(bias_V) + " and targets " + shape_of(targets_N) +
              " do not fit");
    check(bias_V.scalar_type() == compute_type(logits_NV.scalar_type()), "cross_entropy",
          "the bias must be fp32 (fp64 for fp64 logits)");
    Tensor logits = logits_NV.detach().contiguous(), bias = bias_V.detach().contiguous(),
           targets = targets_N.contiguous();
    if (targets.numel() > 0) {
        auto [lowest, highest] = at::aminmax(targets);
        int64_t low = lowest.item<int64_t>(), high = highest.item<int64_t>();
        check(low >= -1 && high < logits.size(1), "cross_entropy",
              "target " + std::to_string(low < -1 ? low : high) + " is outside the vocabulary of " +
                  std::to_string(logits.size(1)));
    }
    Tensor lse = at::empty({logits.size(0)}, bias.options()), loss = at::empty_like(lse);
    for_storage(logits.scalar_type(), "cross_entropy", [&](auto* type) {
        using S = std::remove_pointer_t<decltype(type)>;
        auto args = args_of<S>(logits, bias, targets, lse);
        args.loss = pointer<kernels::Compute<S>>(loss);
        if (logits.numel() == 0) return;
        if (logits.is_cuda())
            check_cuda(kernels::cuda_table()->of<S>().cross_entropy_forward(args, stream_of(logits, "cross_entropy")),
                       "cross_entropy");
        else kernels::cross_entropy_forward(args);
    });
    if (needs_gradient(logits_NV, bias_V)) {
        auto node = make_node<CrossEntropyNode>(logits_NV, bias_V);
        node->logits = logits, node->bias = bias, node->targets = targets, node->lse = lse;
        torch::autograd::set_history(loss, node);
    }
    return loss;
}

}  // namespace lithe::ops
