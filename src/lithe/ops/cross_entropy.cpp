#include "lithe/ops/cross_entropy.h"

#include <algorithm>

#include "lithe/kernels/cross_entropy/cross_entropy.h"
#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

constexpr int64_t kLeastRows = 64;  // fewer would spend the time on reading the weight

// Losses of a chunk; with `differentiate`, logits become d(sum of losses) / d(logits).
template <class S>
void run_kernel(const Tensor& logits, const Tensor& bias, const Tensor& targets, const Tensor& loss, const Tensor& lse,
                const Tensor& ones, double smoothing, bool differentiate) {
    using C = kernels::Compute<S>;
    kernels::CrossEntropyArgs<S> args;
    args.rows = logits.size(0);
    args.vocabulary = logits.size(1);
    args.logits = pointer<S>(logits);
    args.bias = pointer<C>(bias);
    args.targets = pointer<int64_t>(targets);
    args.lse = pointer<C>(lse);
    args.loss = pointer<C>(loss);
    args.weight = pointer<C>(ones);
    args.smoothing = C(smoothing);
    if (!logits.is_cuda()) {
        kernels::cross_entropy_forward(args);
        if (differentiate) kernels::cross_entropy_backward(args);
        return;
    }
    const auto& table = kernels::cuda_table()->of<S>();
    void* stream = stream_of(logits, "cross_entropy");
    check_cuda(table.cross_entropy_forward(args, stream), "cross_entropy");
    if (differentiate) check_cuda(table.cross_entropy_backward(args, stream), "cross_entropy");
}

// The gradients are there when the loss is; backward scales them.
struct LinearCrossEntropyNode : torch::autograd::Node {
    variable_list gradients;  // of h, weight, bias

    std::string name() const override { return "lithe::cross_entropy backward"; }

    variable_list apply(variable_list&& upstream) override {
        check(!gradients.empty(), "cross_entropy", "backward was run twice through a graph that was freed");
        variable_list result = std::move(gradients);
        gradients.clear();
        for (Tensor& each : result)
            if (each.defined()) each.mul_(upstream[0]);
        return result;
    }

    void release_variables() override { gradients.clear(); }
};

void check_input(const Tensor& h, const Tensor& weight, const Tensor& bias, const Tensor& targets) {
    check(h.dim() == 2 && weight.dim() == 2 && weight.size(1) == h.size(1) && targets.dim() == 1 &&
              targets.size(0) == h.size(0) && targets.scalar_type() == at::kLong && bias.dim() == 1 &&
              bias.size(0) == weight.size(0),
          "cross_entropy",
          "h " + shape_of(h) + ", weight " + shape_of(weight) + ", bias " + shape_of(bias) + " and targets " +
              shape_of(targets) + " do not fit");
    check(bias.scalar_type() == compute_type(h.scalar_type()), "cross_entropy",
          "the bias must be fp32 (fp64 for fp64 input)");
    if (targets.numel() == 0 || targets.is_cuda()) return;  // there a wrong target's loss is NaN: a look would wait
    auto [lowest, highest] = at::aminmax(targets);
    const int64_t low = lowest.item<int64_t>(), high = highest.item<int64_t>();
    check(low >= -1 && high < weight.size(0), "cross_entropy",
          "target " + std::to_string(low < -1 ? low : high) + " is outside the vocabulary of " +
              std::to_string(weight.size(0)));
}

// Adds a chunk's part to a sum over chunks; one chunk needs no sum.
void accumulate(Tensor& sum, Tensor part, bool single) {
    if (single) sum = std::move(part);
    else if (!sum.defined()) sum = part.to(compute_type(part.scalar_type()));
    else sum.add_(part);
}

}  // namespace

Tensor linear_cross_entropy(const Tensor& h_ND, const Tensor& weight_VD, const Tensor& bias_V, const Tensor& targets_N,
                            double smoothing, int64_t chunk_bytes) {
    ProfileScope scope("lithe::cross_entropy");
    check_input(h_ND, weight_VD, bias_V, targets_N);
    check(smoothing <= 0 || weight_VD.size(0) > 1, "cross_entropy", "smoothing needs two tokens at least");
    const bool differentiate = needs_gradient(h_ND, weight_VD, bias_V);
    std::shared_ptr<LinearCrossEntropyNode> node;
    if (differentiate) node = make_node<LinearCrossEntropyNode>(h_ND, weight_VD, bias_V);
    at::NoGradGuard no_grad;
    const Tensor h = h_ND.detach().contiguous(), weight = weight_VD.detach(), bias = bias_V.detach().contiguous(),
                 targets = targets_N.contiguous();
    const int64_t rows = h.size(0), row_bytes = std::max<int64_t>(1, weight.size(0) * h.element_size());
    const int64_t chunk = std::clamp<int64_t>(chunk_bytes / row_bytes, kLeastRows, std::max(rows, kLeastRows));
    Tensor total = at::zeros({}, bias.options()), dh, d_weight, d_bias;
    if (differentiate && h_ND.requires_grad()) dh = at::empty_like(h);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
        const int64_t count = std::min(chunk, rows - begin);
        Tensor some = h.narrow(0, begin, count), logits = at::linear(some, weight);
        Tensor loss = at::empty({count}, bias.options()), lse = at::empty_like(loss), ones;
        if (differentiate) ones = at::ones_like(loss);
        if (logits.numel() > 0)
            for_storage(logits.scalar_type(), "cross_entropy", [&](auto* type) {
                run_kernel<std::remove_pointer_t<decltype(type)>>(logits, bias, targets.narrow(0, begin, count), loss,
                                                                  lse, ones, smoothing, differentiate);
            });
        total += loss.sum();
        if (!differentiate) continue;
        if (Tensor part = dh.defined() ? dh.narrow(0, begin, count) : dh; part.defined())
            at::mm_out(part, logits, weight);
        if (weight_VD.requires_grad()) accumulate(d_weight, at::mm(logits.t(), some), count == rows);
        if (bias_V.requires_grad())
            accumulate(d_bias, logits.sum(at::IntArrayRef{0}, false, bias.scalar_type()), count == rows);
    }
    if (!node || rows == 0) return total;
    if (d_weight.defined()) d_weight = d_weight.to(weight.scalar_type());
    node->gradients = {dh, d_weight, d_bias};
    torch::autograd::set_history(total, node);
    return total;
}

}  // namespace lithe::ops
