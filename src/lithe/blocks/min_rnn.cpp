#include "lithe/blocks/min_rnn.h"

#include <cmath>

namespace lithe {

void MinRnnValues::visit(FieldVisitor& v) {
    v.field({.name = "expansion",
             .help = "the recurrence's width, as a multiple of the model's",
             .minimum = 1,
             .maximum = 64},
            expansion);
    v.field({.name = "bias", .help = "biases in the products"}, bias);
    updates.visit(v);
}

MinRnnBlock::MinRnnBlock(kernels::Cell cell, const MinRnnValues& values, const BlockSite& site)
    : cell_(cell),
      width_(site.model.width),
      inner_(values.expansion * site.model.width) {
    const int64_t count = kernels::traits_of(cell).planes;
    const Init in = Init::uniform(1 / std::sqrt(double(width_))), out = Init::uniform(1 / std::sqrt(double(inner_)));
    w_ = site.store.add({site.name + ".w", {count * inner_, width_}, Role::matrix, in, count});
    if (values.bias) bias_ = site.store.add({site.name + ".bias", {count * inner_}, Role::bias, in});
    gate_ = UpdateGate(values.updates, site, inner_);
    if (inner_ == width_) return;
    w_out_ = site.store.add({site.name + ".w_out", {width_, inner_}, Role::matrix, out});
    if (values.bias) bias_out_ = site.store.add({site.name + ".bias_out", {width_}, Role::bias, out});
}

BranchOutput MinRnnBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const auto product = [&](const Tensor& x, const Parameter& w, const Parameter& bias) {
        return at::linear(x, w.tensor(), bias ? bias.tensor().to(x.scalar_type()) : Tensor());
    };
    BranchOutput out;
    const Tensor h = run_cell({.cell = cell_, .u = product(x_TBD, w_, bias_)}, gate_, state, call, out);
    out.delta_TBD = w_out_ ? product(h, w_out_, bias_out_) : h;
    return out;
}

StepOutput MinRnnBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (gate_) return {};
    const auto count = int64_t(planes());
    float* u = program.vector(count * inner_);
    program.product({.weight = w_, .bias = bias_, .x = x, .y = u, .planes = count, .settled = false});
    StepOutput cell = add_cell_step(program, {.cell = cell_, .width = inner_, .u = u});
    if (!w_out_) return cell;
    float* y = program.vector(width_);
    program.product({.weight = w_out_, .bias = bias_out_, .x = cell.y, .y = y});
    return {y, cell.load};
}

double MinRnnBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_), inner = double(inner_);
    return 2 * planes() * d * inner + (w_out_ ? 2 * inner * d : 0);
}

double MinRnnBlock::activation_numbers_per_token(const CostShape&) const {
    return double(width_) + (planes() + 2) * double(inner_) + gate_.activation_numbers_per_token();
}

}  // namespace lithe
