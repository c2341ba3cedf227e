#include "lithe/blocks/lrn.h"

namespace lithe {

void LrnValues::visit(FieldVisitor& v) {
    v.field({.name = "activation", .help = "of the new state; identity is the paper's second form"}, activation);
    updates.visit(v);
}

LrnBlock::LrnBlock(const LrnValues& values, const BlockSite& site)
    : cell_(values.activation == LrnActivation::tanh ? kernels::Cell::lrn : kernels::Cell::lrn_linear),
      width_(site.model.width) {
    const int64_t d = width_;
    w_ = site.store.add({site.name + ".w", {3 * d, d}, Role::matrix, Init::xavier(d, 3 * d), 3});
    bias_ = site.store.add({site.name + ".bias", {3, d}, Role::bias, Init::constant(0)});
    gate_ = UpdateGate(values.updates, site, d);
}

BranchOutput LrnBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    out.delta_TBD = run_cell({.cell = cell_, .u = at::linear(x_TBD, w_.tensor()), .weights = {bias_.tensor()}}, gate_,
                             state, call, out);
    return out;
}

StepOutput LrnBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (gate_) return {};
    float* u = program.vector(3 * width_);
    program.product({.weight = w_, .x = x, .y = u, .planes = 3, .settled = false});
    return add_cell_step(program, {.cell = cell_, .width = width_, .u = u, .weights = {bias_.tensor()}});
}

double LrnBlock::flops_per_token(const CostShape&) const { return 6 * double(width_) * double(width_); }

double LrnBlock::activation_numbers_per_token(const CostShape&) const {
    return 6 * double(width_) + gate_.activation_numbers_per_token();
}

}  // namespace lithe
