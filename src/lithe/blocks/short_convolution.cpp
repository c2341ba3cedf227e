#include "lithe/blocks/short_convolution.h"

#include <cmath>

#include "lithe/ops/short_convolution.h"

namespace lithe {

ShortConvolution::ShortConvolution(ParameterStore& store, const std::string& name,
                                   const ShortConvolutionOptions& options)
    : options_(options) {
    const double bound = 1 / std::sqrt(double(options.taps));
    w_ = store.add({name + ".w",
                    {options.taps, options.width},
                    Role::vector,
                    options.deviation > 0 ? Init::normal(options.deviation) : Init::uniform(bound)});
    if (!options.bias) return;
    bias_ = store.add({name + ".bias",
                       {options.width},
                       Role::bias,
                       options.deviation > 0 ? Init::constant(0) : Init::uniform(bound)});
}

Tensor ShortConvolution::run(const Tensor& x_TBD, const State& before, const Call& call, State& after) const {
    const auto out = ops::short_convolution({.x_TBD = x_TBD,
                                             .w_KD = w_.tensor(),
                                             .bias_D = bias_ ? bias_.tensor() : Tensor(),
                                             .before_LBD = before.get(options_.carried),
                                             .flags_TB = call.pass.flags_TB(),
                                             .silu = options_.silu});
    after.put(options_.carried, out.last_LBD, 1);
    return out.y_TBD;
}

StepOutput ShortConvolution::add_step(StepProgram& program, const float* x) const {
    const int64_t width = options_.width, kept = (options_.taps - 1) * width;
    float *carried = program.carried(kept), *y = program.vector(width);
    kernels::ShortConvolutionForward<float> step;
    step.shape = {.steps = 1, .batch = 1, .width = width, .taps = int(options_.taps), .silu = options_.silu};
    step.w = w_.tensor().data_ptr<float>();
    step.bias = bias_ ? bias_.tensor().data_ptr<float>() : nullptr;
    program.parts(width, [=](int64_t row, int64_t begin, int64_t end) {
        auto now = step;
        now.x = x + row * width;
        now.before = now.last = carried + row * kept;
        now.y = y + row * width;
        kernels::short_convolution_columns(now, begin, end);
    });
    const std::string name = options_.carried;
    return {y, [=](const State& state, int64_t row) { copy_state(state.get(name), kept, carried + row * kept); }};
}

}  // namespace lithe
