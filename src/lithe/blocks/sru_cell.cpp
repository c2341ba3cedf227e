#include "lithe/blocks/sru_cell.h"

#include <cmath>

#include "lithe/ops/dropout.h"
#include "lithe/ops/sru.h"

namespace lithe {

SruCell::SruCell(ParameterStore& store, const std::string& name, const SruCellOptions& options) : options_(options) {
    alpha_ = options.rescale ? std::sqrt(1 + 2 * std::exp(options.highway_bias)) : 1.0;
    v_ = store.add({name + ".weight_c", {2, options.width}, Role::vector, Init::uniform(1.0)});
    bias_ = store.add({name + ".bias", {2, options.width}, Role::bias, Init::rows({0.0, options.highway_bias})});
}

Tensor SruCell::run(const Tensor& u, const Tensor& x_TBD, const State& before, const Call& call, BranchOutput& out,
                    const UpdateGate& gate) const {
    ops::SruInput in;
    in.u = u;
    if (options_.planes == 3 && options_.skip) in.x_TBD = x_TBD;
    in.v_2D = v_.tensor();
    in.bias_2D = bias_.tensor();
    in.directions = options_.directions;
    in.planes = options_.planes;
    in.tanh = options_.tanh;
    in.alpha = alpha_;
    if (call.pass.training && options_.dropout > 0 && !call.place.last())
        in.mask_BD = ops::dropout_mask({x_TBD.size(1), options_.width}, options_.dropout, call.site("sru"),
                                       in.v_2D.options().requires_grad(false));
    return run_cell(ops::recurrence_of(in), gate, before, call, out);
}

StepOutput SruCell::add_step(StepProgram& program, const float* u, const float* x) const {
    if (options_.directions != 1) return {};
    const int64_t width = options_.width;
    kernels::StepSru step{.width = width,
                          .u = u,
                          .v = v_.tensor().data_ptr<float>(),
                          .bias = bias_.tensor().data_ptr<float>(),
                          .c = program.carried(width),
                          .h = program.vector(width),
                          .tanh = options_.tanh};
    const int64_t planes = plane_rows();
    int64_t skip_stride = width;
    if (options_.planes == 4) {
        step.skip = u + 3 * width;
        skip_stride = planes;
    } else if (options_.skip) {
        step.skip = x;
        step.alpha = float(alpha_);
    }
    program.parts(width, [=](int64_t row, int64_t begin, int64_t end) {
        kernels::StepSru now = step;
        now.u += row * planes;
        if (now.skip) now.skip += row * skip_stride;
        now.c += row * width;
        now.h += row * width;
        kernels::step_sru(now, begin, end);
    });
    return {step.h, [=](const State& state, int64_t row) { copy_state(state.get("c"), width, step.c + row * width); }};
}

}  // namespace lithe
