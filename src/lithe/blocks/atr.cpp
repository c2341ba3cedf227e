#include "lithe/blocks/atr.h"

#include <cmath>

#include "lithe/ops/atr.h"

namespace lithe {

AtrBlock::AtrBlock(const AtrValues&, const BlockSite& site) : width_(site.model.width) {
    const int64_t d = width_;
    w_input_ = site.store.add({site.name + ".w_input", {d, d}, Role::matrix, Init::xavier(d, d)});
    w_state_ = site.store.add({site.name + ".w_state", {d, d}, Role::matrix, Init::xavier(d, d)});
    b_input_ = site.store.add({site.name + ".b_input", {d}, Role::bias, Init::constant(0)});
    b_state_ = site.store.add({site.name + ".b_state", {d}, Role::bias, Init::constant(0)});
}

BranchOutput AtrBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto out = ops::atr({.x_TBI = x_TBD,
                               .w_input = w_input_.tensor(),
                               .w_state = w_state_.tensor(),
                               .bias_input = b_input_.tensor(),
                               .bias_state = b_state_.tensor(),
                               .h0_BD = state.get("h"),
                               .flags_TB = call.pass.flags_TB()});
    BranchOutput branch;
    branch.delta_TBD = out.h_TBD;
    branch.state.put("h", out.h_BD, 0);
    return branch;
}

StepOutput AtrBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_;
    float *from_x = program.vector(d), *from_h = program.vector(d), *h = program.carried(d);
    program.product({.weight = w_input_, .bias = b_input_, .x = x, .y = from_x, .settled = false});
    program.product({.weight = w_state_, .bias = b_state_, .x = h, .y = from_h});
    program.parts(d, [=](int64_t row, int64_t begin, int64_t end) {
        const auto sigmoid = [](float v) { return 1 / (1 + std::exp(-v)); };
        for (int64_t i = row * d + begin; i < row * d + end; ++i) {
            const float p = from_x[i], q = from_h[i];
            h[i] = std::tanh(sigmoid(p + q) * p + sigmoid(p - q) * h[i]);
        }
    });
    return {h, [=](const State& state, int64_t row) { copy_state(state.get("h"), d, h + row * d); }};
}

double AtrBlock::flops_per_token(const CostShape&) const { return 4 * double(width_) * double(width_); }

double AtrBlock::activation_numbers_per_token(const CostShape&) const { return 7 * double(width_); }

}  // namespace lithe
