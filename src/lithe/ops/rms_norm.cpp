#include "lithe/ops/rms_norm.h"

#include "lithe/kernels/cuda.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using kernels::NormGate;
using torch::autograd::variable_list;

struct Input {
    Tensor x, z, gain;
    double epsilon = 0;
    NormGate gate = NormGate::none;
    int64_t heads() const { return x.size(-1) / gain.numel(); }
    int64_t rows() const { return x.numel() / x.size(-1); }
};

template <class S> kernels::RmsNormForward<S> norm_args(const Input& in, const Tensor& scales) {
    using C = kernels::Compute<S>;
    return {.rows = in.rows(),
            .heads = in.heads(),
            .width = in.gain.numel(),
            .epsilon = in.epsilon,
            .gate = in.gate,
            .x = pointer<S>(in.x),
            .z = pointer<S>(in.z),
            .z_row = in.z.defined() && in.z.dim() > 1 ? in.z.stride(-2) : 0,
            .gain = pointer<C>(in.gain),
            .scales = pointer<C>(scales)};
}

struct RmsNormNode : torch::autograd::Node {
    Input in;
    Tensor scales;

    std::string name() const override { return "lithe::rms_norm backward"; }

    variable_list apply(variable_list&& gradients) override {
        check(in.x.defined(), "rms_norm", "backward was run twice through a graph that was freed");
        if (!gradients[0].defined()) return variable_list(3);
        const Tensor dy = gradients[0].contiguous(), dx = at::empty_like(in.x);
        const Tensor dz = in.z.defined() ? at::empty_like(in.x) : Tensor();
        const Tensor sums = at::empty({kernels::rms_norm_chunks(in.rows()), in.gain.numel()}, in.gain.options());
        for_storage(in.x.scalar_type(), "rms_norm", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            const kernels::RmsNormBackward<S> args{norm_args<S>(in, scales), pointer<S>(dy), pointer<S>(dx),
                                                   pointer<S>(dz), pointer<kernels::Compute<S>>(sums)};
            if (in.x.is_cuda())
                check_cuda(kernels::cuda_table()->of<S>().rms_norm_backward(args, stream_of(in.x, "rms_norm")),
                           "rms_norm");
            else kernels::rms_norm_backward(args);
        });
        return {dx, dz, sums.sum(0)};
    }

    void release_variables() override {
        in = {};
        scales.reset();
    }
};

// Rows that lie evenly apart: what a part of a wider tensor is.
bool even_rows(const Tensor& z) {
    if (z.stride(-1) != 1) return false;
    for (int64_t axis = 0; axis + 2 < z.dim(); ++axis)
        if (z.stride(axis) != z.size(axis + 1) * z.stride(axis + 1)) return false;
    return true;
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& gain, double epsilon, NormGate gate, const Tensor& z) {
    const auto type = compute_type(x.scalar_type());
    check(x.dim() > 0 && gain.dim() == 1 && gain.size(0) > 0 && x.size(-1) % gain.size(0) == 0 &&
              gain.scalar_type() == type,
          "rms_norm", "gain " + shape_of(gain) + " does not fit " + shape_of(x));
    check(z.defined() == (gate != NormGate::none) &&
              (!z.defined() || (z.sizes() == x.sizes() && z.scalar_type() == x.scalar_type())),
          "rms_norm", "gate " + shape_of(z) + " does not fit " + shape_of(x));
    ProfileScope scope("lithe::rms_norm");
    Input in{x.contiguous().detach(), z.defined() ? z.detach() : z, gain.detach(), epsilon, gate};
    if (in.z.defined() && !even_rows(in.z)) in.z = in.z.contiguous();
    Tensor y = at::empty_like(in.x), scales = at::empty({in.rows(), in.heads()}, gain.options());
    for_storage(x.scalar_type(), "rms_norm", [&](auto* storage) {
        using S = std::remove_pointer_t<decltype(storage)>;
        auto args = norm_args<S>(in, scales);
        args.y = pointer<S>(y);
        if (x.is_cuda())
            check_cuda(kernels::cuda_table()->of<S>().rms_norm_forward(args, stream_of(x, "rms_norm")), "rms_norm");
        else kernels::rms_norm_forward(args);
    });
    if (needs_gradient(x, z, gain)) {
        auto node = make_node<RmsNormNode>(x, z, gain);
        node->in = in;
        node->scales = scales;
        torch::autograd::set_history(y, node);
    }
    return y;
}

}  // namespace lithe::ops
