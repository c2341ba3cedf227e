#include "lithe/blocks/ssru.h"

#include "lithe/ops/dropout.h"
#include "lithe/ops/norm.h"

namespace lithe {

SsruValues SsruValues::defaults(const ModelConfig& model) {
    SsruValues values;
    values.dropout = model.dropout;
    return values;
}

void SsruValues::visit(FieldVisitor& v) {
    v.field({.name = "projection", .help = "a product of the output"}, projection);
    v.field({.name = "layer_norm", .help = "of both products of the input"}, layer_norm);
    v.field({.name = "dropout", .help = "of the input, one mask for all steps and rows", .minimum = 0, .maximum = 0.99},
            dropout);
    updates.visit(v);
}

SsruBlock::SsruBlock(const SsruValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      epsilon_(site.model.norm_epsilon) {
    const int64_t d = width_;
    w_ = site.store.add({site.name + ".w", {2 * d, d}, Role::matrix, Init::xavier(d, d), 2});
    bias_ = site.store.add({site.name + ".bias", {d}, Role::bias, Init::constant(0)});
    if (values.layer_norm) gains_ = site.store.add({site.name + ".gains", {2, d}, Role::vector, Init::constant(1)});
    gate_ = UpdateGate(values.updates, site, d);
    if (!values.projection) return;
    w_out_ = site.store.add({site.name + ".w_out", {d, d}, Role::matrix, Init::xavier(d, d)});
    bias_out_ = site.store.add({site.name + ".bias_out", {d}, Role::bias, Init::constant(0)});
}

// Each plane by itself; without biases, for that of f stands in the cell.
Tensor SsruBlock::normed(const Tensor& u) const {
    std::vector<Tensor> planes = u.chunk(2, -1);
    const Tensor gains = gains_.tensor(), none = at::zeros({width_}, gains.options().requires_grad(false));
    for (int64_t plane = 0; plane < 2; ++plane)
        planes[size_t(plane)] = ops::layer_norm(planes[size_t(plane)], gains[plane], none, epsilon_);
    return at::cat(planes, -1);
}

BranchOutput SsruBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    Tensor in = x_TBD;
    if (call.pass.training && values_.dropout > 0) {
        const Tensor ones = at::ones({width_}, x_TBD.options().requires_grad(false));
        in = in * ops::dropout(ones, values_.dropout, call.site("ssru"), ops::kSharedByRows);
    }
    Tensor u = at::linear(in, w_.tensor());
    if (gains_) u = normed(u);
    BranchOutput out;
    const Tensor h =
        run_cell({.cell = kernels::Cell::ssru, .u = u, .weights = {bias_.tensor()}}, gate_, state, call, out);
    out.delta_TBD = w_out_ ? at::linear(h, w_out_.tensor(), bias_out_.tensor().to(h.scalar_type())) : h;
    return out;
}

StepOutput SsruBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    if (gains_ || gate_) return {};  // a norm of a plane alone has no operation
    float* u = program.vector(2 * width_);
    program.product({.weight = w_, .x = x, .y = u, .planes = 2, .settled = false});
    const StepOutput cell =
        add_cell_step(program, {.cell = kernels::Cell::ssru, .width = width_, .u = u, .weights = {bias_.tensor()}});
    if (!w_out_) return cell;
    float* y = program.vector(width_);
    program.product({.weight = w_out_, .bias = bias_out_, .x = cell.y, .y = y});
    return {y, cell.load};
}

double SsruBlock::flops_per_token(const CostShape&) const {
    const double d = double(width_);
    return (w_out_ ? 6 : 4) * d * d;
}

double SsruBlock::activation_numbers_per_token(const CostShape&) const {
    return (5 + (gains_ ? 2 : 0) + (values_.dropout > 0 ? 1 : 0)) * double(width_) +
           gate_.activation_numbers_per_token();
}

}  // namespace lithe
