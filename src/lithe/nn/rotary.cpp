#include "lithe/nn/rotary.h"

#include <cmath>

namespace lithe {
namespace {

constexpr double kBase = 10000;

}  // namespace

Rotation rotation_at(const Tensor& position_TB, int64_t size, at::ScalarType compute) {
    ops::check(size % 2 == 0, "rotary positions", "heads of " + std::to_string(size) + " numbers have no pairs");
    const at::NoGradGuard no_grad;
    const Tensor i = at::arange(size / 2, position_TB.options().dtype(at::kDouble));
    const Tensor angle = position_TB.to(at::kDouble).unsqueeze(2) * at::exp(i * (-2 * std::log(kBase) / double(size)));
    return {angle.cos().to(compute).unsqueeze(2), angle.sin().to(compute).unsqueeze(2)};
}

Tensor rotated(const Tensor& x_TBHK, const Rotation& by) {
    const Tensor x = x_TBHK.to(by.cos.scalar_type());
    const int64_t half = x.size(3) / 2;
    const Tensor a = x.narrow(3, 0, half), b = x.narrow(3, half, half);
    return at::cat({a * by.cos - b * by.sin, a * by.sin + b * by.cos}, 3).to(x_TBHK.scalar_type());
}

void rotate_step(float* head, int64_t size, double position) {
    const int64_t half = size / 2;
    for (int64_t i = 0; i < half; ++i) {
        const double angle = position * std::exp(-2 * std::log(kBase) / double(size) * double(i));
        const auto cos = float(std::cos(angle)), sin = float(std::sin(angle));
        const float a = head[i], b = head[half + i];
        head[i] = a * cos - b * sin;
        head[half + i] = a * sin + b * cos;
    }
}

}  // namespace lithe
