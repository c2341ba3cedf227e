#include "lithe/model/adapter.h"

namespace lithe {

Adapter::Adapter(ParameterStore& store, const std::string& name, int64_t width, int64_t inner)
    : width_(width),
      inner_(inner) {
    constexpr double kDeviation = 1e-2;  // section 3.6
    const Init init = Init::normal(kDeviation);
    down_ = store.add({name + ".down", {inner, width}, Role::matrix, init});
    down_bias_ = store.add({name + ".down_bias", {inner}, Role::bias, Init::constant(0)});
    up_ = store.add({name + ".up", {width, inner}, Role::matrix, init});
    up_bias_ = store.add({name + ".up_bias", {width}, Role::bias, Init::constant(0)});
}

Tensor Adapter::operator()(const Tensor& x) const {
    const auto in_type = [&](const Parameter& bias) { return bias.tensor().to(x.scalar_type()); };
    const Tensor inner = at::gelu(at::linear(x, down_.tensor(), in_type(down_bias_)));
    return x + at::linear(inner, up_.tensor(), in_type(up_bias_));
}

const float* Adapter::add_step(StepProgram& program, const float* x) const {
    float *inner = program.vector(inner_), *change = program.vector(width_), *y = program.vector(width_);
    program.product(
        {.weight = down_, .bias = down_bias_, .x = x, .y = inner, .activation = StepProgram::Activation::gelu});
    program.product({.weight = up_, .bias = up_bias_, .x = inner, .y = change});
    program.parts(width_, [=, width = width_](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = row * width + begin; i < row * width + end; ++i) y[i] = x[i] + change[i];
    });
    return y;
}

}  // namespace lithe
