#include "lithe/blocks/hidden_state.h"

namespace lithe {

HiddenStateBlock::HiddenStateBlock(const HiddenCell& cell, const GatedWeights::Start& start, const BlockSite& site)
    : cell_(cell),
      width_(site.model.width),
      weights_(site, site.name, {.planes = cell.planes, .inputs = width_, .units = width_}, start) {}

BranchOutput HiddenStateBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto out = cell_.run({.x_TBI = x_TBD,
                                .w_input = weights_.w_input.tensor(),
                                .w_state = weights_.w_state.tensor(),
                                .bias_input = weights_.b_input.tensor(),
                                .bias_state = weights_.b_state.tensor(),
                                .h0_BD = state.get("h"),
                                .flags_TB = call.pass.flags_TB()});
    BranchOutput branch;
    branch.delta_TBD = out.h_TBD;
    branch.state.put("h", out.h_BD, 0);
    return branch;
}

StepOutput HiddenStateBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    const int64_t d = width_, rows = cell_.planes * d;
    float *from_x = program.vector(rows), *from_h = program.vector(rows), *h = program.carried(d);
    weights_.add_products(program, {.x = x, .h = h, .from_x = from_x, .from_h = from_h, .planes = cell_.planes});
    program.parts(d, [=, step = cell_.step](int64_t row, int64_t begin, int64_t end) {
        step({.width = d, .u = from_x + row * rows, .s = from_h + row * rows, .h = h + row * d}, begin, end);
    });
    return {h, [=](const State& state, int64_t row) { copy_state(state.get("h"), d, h + row * d); }};
}

double HiddenStateBlock::flops_per_token(const CostShape&) const {
    return 4 * double(cell_.planes) * double(width_) * double(width_);
}

double HiddenStateBlock::activation_numbers_per_token(const CostShape&) const { return 7 * double(width_); }

}  // namespace lithe
