#include "lithe/ops/rotary.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "lithe/kernels/cuda.h"
#include "lithe/ops/graph.h"
#include "lithe/ops/node.h"
#include "lithe/ops/profile.h"

namespace lithe::ops {
namespace {

using torch::autograd::variable_list;

struct Turn {
    Rotary rotary;
    int64_t heads = 1;
    Tensor angles;

    Tensor apply(const Tensor& given, bool inverse) const {
        const Tensor x = given.contiguous();
        Tensor y = at::empty_like(x);
        for_storage(x.scalar_type(), "rotary", [&](auto* type) {
            using S = std::remove_pointer_t<decltype(type)>;
            const kernels::RotaryArgs<S> args{.steps = x.size(0),
                                              .batch = x.size(1),
                                              .row = x.size(2),
                                              .heads = heads,
                                              .size = rotary.size,
                                              .turned = rotary.turned,
                                              .angles = pointer<kernels::Compute<S>>(angles),
                                              .own_angles = angles.dim() == 4,
                                              .inverse = inverse,
                                              .x = pointer<S>(x),
                                              .y = pointer<S>(y)};
            if (x.is_cuda()) check_cuda(kernels::cuda_table()->of<S>().rotary(args, stream_of(x, "rotary")), "rotary");
            else kernels::rotary<S>(args);
        });
        return y;
    }
};

struct RotaryNode : torch::autograd::Node {
    Turn turn;
    std::string name() const override { return "lithe::rotary backward"; }
    variable_list apply(variable_list&& gradients) override {
        return {gradients[0].defined() ? turn.apply(gradients[0], true) : Tensor()};
    }
};

Tensor make_angles(const Rotary& rotary, const Tensor& position, at::TensorOptions options) {
    const at::NoGradGuard no_grad;
    const int64_t half = rotary.turned / 2;
    const Tensor rate = at::pow(rotary.base, at::arange(half, position.options().dtype(at::kDouble)) / -double(half));
    const Tensor angle = position.to(at::kDouble).unsqueeze(-1) * rate;
    return at::stack({angle.cos(), angle.sin()}, -2).to(options).contiguous();
}

struct Made {
    Rotary rotary;
    int64_t first, count;
    Tensor angles;
};

}  // namespace

Tensor rotary_angles(const Rotary& rotary, int64_t first, int64_t count, at::TensorOptions options) {
    constexpr size_t kMost = 16;  // lengths that grow make one each
    static std::mutex mutex;
    static std::vector<Made> kept;
    std::lock_guard lock(mutex);
    auto found = std::find_if(kept.begin(), kept.end(), [&](const Made& each) {
        return each.rotary.turned == rotary.turned && each.rotary.base == rotary.base && each.first == first &&
               each.count == count && each.angles.scalar_type() == at::typeMetaToScalarType(options.dtype()) &&
               each.angles.device() == options.device();
    });
    if (found == kept.end()) {
        if (kept.size() == kMost) kept.erase(kept.begin());
        const Tensor position = at::arange(first, first + count, options.dtype(at::kLong));
        found = kept.insert(kept.end(), {rotary, first, count, make_angles(rotary, position, options)});
    }
    Graph::keep(found->angles);
    return found->angles;
}

Tensor rotary_angles_at(const Rotary& rotary, const Tensor& position_TB, at::TensorOptions options) {
    return make_angles(rotary, position_TB, options);
}

Tensor rotary(const Tensor& x_TBX, const Rotary& how, int64_t heads, const Tensor& angles) {
    ProfileScope scope("lithe::rotary");
    check(x_TBX.dim() == 3 && heads * how.size <= x_TBX.size(2), "rotary",
          shape_of(x_TBX) + " does not hold " + std::to_string(heads) + " heads of " + std::to_string(how.size));
    check(how.turned >= 0 && how.turned % 2 == 0 && how.turned <= how.size, "rotary",
          std::to_string(how.turned) + " numbers of a head of " + std::to_string(how.size) + " cannot be turned");
    const int64_t rows = angles.dim() == 4 ? x_TBX.size(0) * x_TBX.size(1) : x_TBX.size(0);
    check(angles.numel() == rows * how.turned && angles.is_contiguous() &&
              angles.scalar_type() == compute_type(x_TBX.scalar_type()),
          "rotary", "angles " + shape_of(angles) + " do not fit " + shape_of(x_TBX));
    const Turn turn{how, heads, angles};
    Tensor y = turn.apply(x_TBX.detach(), false);
    if (needs_gradient(x_TBX)) {
        auto node = make_node<RotaryNode>(x_TBX);
        node->turn = turn;
        torch::autograd::set_history(y, node);
    }
    return y;
}

Tensor rotary(const Tensor& x_TBX, const Rotary& how, int64_t heads, int64_t first) {
    const auto options = x_TBX.options().dtype(compute_type(x_TBX.scalar_type())).requires_grad(false);
    return rotary(x_TBX, how, heads, rotary_angles(how, first, x_TBX.size(0), options));
}

void rotary_step(float* heads, int64_t numbers, const Rotary& rotary, int64_t position) {
    const int64_t half = rotary.turned / 2;
    for (int64_t i = 0; i < half; ++i) {
        const double angle = double(position) * std::pow(rotary.base, -double(i) / double(half));
        const auto cosine = float(std::cos(angle)), sine = float(std::sin(angle));
        for (int64_t at = i; at < numbers; at += rotary.size) {
            const float low = heads[at], high = heads[at + half];
            heads[at] = low * cosine - high * sine;
            heads[at + half] = high * cosine + low * sine;
        }
    }
}

}  // namespace lithe::ops
