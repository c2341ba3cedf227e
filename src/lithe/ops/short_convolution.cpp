#include "lithe/ops/short_convolution.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"
#include "lithe/ops/recurrence.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

constexpr const char* kName = "short_convolution";

kernels::ShortConvolutionShape shape_of_layer(const ShortConvolutionInput& in) {
    return {.steps = in.x_TBD.size(0),
            .batch = in.x_TBD.size(1),
            .width = in.x_TBD.size(2),
            .taps = int(in.w_KD.size(0)),
            .silu = in.silu};
}

template <class S> kernels::ShortConvolutionForward<S> forward_args(const ShortConvolutionInput& in) {
    using C = kernels::Compute<S>;
    kernels::ShortConvolutionForward<S> args;
    args.shape = shape_of_layer(in);
    args.x = pointer<S>(in.x_TBD);
    args.w = pointer<C>(in.w_KD);
    args.bias = pointer<C>(in.bias_D);
    args.before = pointer<S>(in.before_LBD);
    args.flags = pointer<uint8_t>(in.flags_TB);
    return args;
}

struct ShortConvolutionNode : torch::autograd::Node {
    ShortConvolutionInput in;

    std::string name() const override { return "lithe::short_convolution backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(in.x_TBD.defined(), kName, "backward was run twice through a graph that was freed");
        const auto shape = shape_of_layer(in);
        const auto type = in.x_TBD.scalar_type();
        const Tensor dy = gradients[0].defined() ? gradients[0].to(type).contiguous() : at::zeros_like(in.x_TBD);
        const Tensor dlast = gradients[1].defined() ? gradients[1].to(type).contiguous() : Tensor();
        const Tensor dx = at::empty_like(in.x_TBD),
                     dbefore = in.before_LBD.defined() ? at::empty_like(in.before_LBD) : Tensor();
        const int64_t parts = in.x_TBD.is_cuda() ? shape.batch : kernels::convolution_row_blocks(shape.batch);
        const Tensor dw = at::empty({shape.taps + 1, shape.width}, in.w_KD.options()),
                     partial = at::empty({parts, shape.taps + 1, shape.width}, in.w_KD.options());
        for_storage(type, kName, [&](auto* storage) {
            using S = std::remove_pointer_t<decltype(storage)>;
            using C = kernels::Compute<S>;
            kernels::ShortConvolutionBackward<S> args;
            args.forward = forward_args<S>(in);
            args.dy = pointer<S>(dy);
            args.dlast = pointer<S>(dlast);
            args.dx = pointer<S>(dx);
            args.dbefore = pointer<S>(dbefore);
            args.partial = pointer<C>(partial);
            args.dw = pointer<C>(dw);
            if (in.x_TBD.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().short_convolution_backward(args, stream_of(in.x_TBD, kName)),
                           kName);
            else kernels::short_convolution_backward(args);
            add_work(0, kernels::short_convolution_bytes<S>(shape, true));
        });
        return {dx, dw.narrow(0, 0, shape.taps), in.bias_D.defined() ? dw[shape.taps] : Tensor(), dbefore};
    }

    void release_variables() override { in = {}; }
};

void check_input(const ShortConvolutionInput& in) {
    for_storage(in.x_TBD.scalar_type(), kName, [](auto*) {});
    check(in.x_TBD.dim() == 3 && in.w_KD.dim() == 2 && in.w_KD.size(1) == in.x_TBD.size(2), kName,
          "expected x [T][B][D] and w [K][D], got " + shape_of(in.x_TBD) + " and " + shape_of(in.w_KD));
    const int64_t taps = in.w_KD.size(0);
    check(taps >= 2 && taps <= kernels::kMostTaps, kName,
          "expected 2 to " + std::to_string(kernels::kMostTaps) + " taps, got " + std::to_string(taps));
    const auto compute = compute_type(in.x_TBD.scalar_type());
    check(in.w_KD.scalar_type() == compute && (!in.bias_D.defined() || in.bias_D.scalar_type() == compute), kName,
          "w and bias must be fp32 (fp64 for fp64 input)");
    check(!in.bias_D.defined() || in.bias_D.sizes() == at::IntArrayRef({in.x_TBD.size(2)}), kName,
          "bias " + shape_of(in.bias_D) + " is not [D]");
    check(!in.before_LBD.defined() ||
              (in.before_LBD.sizes() == at::IntArrayRef({taps - 1, in.x_TBD.size(1), in.x_TBD.size(2)}) &&
               in.before_LBD.scalar_type() == in.x_TBD.scalar_type()),
          kName, "earlier tokens " + shape_of(in.before_LBD) + " are not [K - 1][B][D] of x's type");
    check_flags(in.flags_TB, in.x_TBD, kName);
}

}  // namespace

ShortConvolutionOutput short_convolution(const ShortConvolutionInput& input) {
    ProfileScope scope("lithe::short_convolution");
    check_input(input);
    ShortConvolutionInput in = input;
    for (Tensor* each : {&in.x_TBD, &in.w_KD, &in.bias_D, &in.before_LBD, &in.flags_TB}) *each = plain(*each);
    const auto shape = shape_of_layer(in);
    ShortConvolutionOutput out{at::empty_like(in.x_TBD),
                               at::empty({shape.taps - 1, shape.batch, shape.width}, in.x_TBD.options())};
    for_storage(in.x_TBD.scalar_type(), kName, [&](auto* storage) {
        using S = std::remove_pointer_t<decltype(storage)>;
        auto args = forward_args<S>(in);
        args.y = pointer<S>(out.y_TBD);
        args.last = pointer<S>(out.last_LBD);
        if (in.x_TBD.is_cuda())
            check_cuda(kernels::cuda_table()->of<S>().short_convolution_forward(args, stream_of(in.x_TBD, kName)),
                       kName);
        else kernels::short_convolution_forward(args);
        add_work(0, kernels::short_convolution_bytes<S>(shape, false));
    });
    if (needs_gradient(input.x_TBD, input.w_KD, input.bias_D, input.before_LBD)) {
        auto node = make_node<ShortConvolutionNode>(input.x_TBD, input.w_KD, input.bias_D, input.before_LBD);
        node->in = in;
        torch::autograd::set_history({out.y_TBD, out.last_LBD}, node);
    }
    return out;
}

}  // namespace lithe::ops
