#include "lithe/blocks/gru.h"

#include <cmath>

#include "lithe/ops/gru.h"

namespace lithe {

GruBlock::GruBlock(const GruValues&, const BlockSite& site) : width_(site.model.width) {
    const int64_t d = width_;
    const Init init = Init::uniform(1 / std::sqrt(double(d)));
    w_input_ = site.store.add({site.name + ".w_input", {3 * d, d}, Role::matrix, init, 3});
    w_state_ = site.store.add({site.name + ".w_state", {3 * d, d}, Role::matrix, init, 3});
    b_input_ = site.store.add({site.name + ".b_input", {3 * d}, Role::bias, init});
    b_state_ = site.store.add({site.name + ".b_state", {3 * d}, Role::bias, init});
}

BranchOutput GruBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto out = ops::gru({.x_TBI = x_TBD,
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

StepOutput GruBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_;
    float *from_x = program.vector(3 * d), *from_h = program.vector(3 * d), *h = program.carried(d);
    program.product({.weight = w_input_, .bias = b_input_, .x = x, .y = from_x, .planes = 3, .settled = false});
    program.product({.weight = w_state_, .bias = b_state_, .x = h, .y = from_h, .planes = 3});
    program.parts(d, [=](int64_t row, int64_t begin, int64_t end) {
        kernels::step_gru({.width = d, .u = from_x + row * 3 * d, .s = from_h + row * 3 * d, .h = h + row * d}, begin,
                          end);
    });
    return {h, [=](const State& state, int64_t row) { copy_state(state.get("h"), d, h + row * d); }};
}

double GruBlock::flops_per_token(const CostShape&) const { return 12 * double(width_) * double(width_); }

double GruBlock::activation_numbers_per_token(const CostShape&) const { return 7 * double(width_); }

}  // namespace lithe
