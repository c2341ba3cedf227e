#include "lithe/blocks/feed_forward.h"

#include "lithe/ops/dropout.h"
namespace lithe {

FeedForwardValues FeedForwardValues::defaults(const ModelConfig& model) {
    FeedForwardValues values;
    values.inner = 4 * model.width;
    values.dropout = model.dropout;
    return values;
}

void FeedForwardValues::visit(FieldVisitor& v) {
    v.field({.name = "inner", .help = "inner size; default 4 x width", .minimum = 1, .maximum = 1 << 22}, inner);
    v.field({.name = "activation", .help = "of the inner layer"}, activation);
    v.field({.name = "bias", .help = "biases in both products"}, bias);
    v.field({.name = "dropout", .help = "of the inner layer", .minimum = 0, .maximum = 0.99}, dropout);
}

FeedForwardBlock::FeedForwardBlock(const FeedForwardValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    const int64_t d = width_, inner = values.inner;
    w1_ = site.store.add({site.name + ".w1", {inner, d}, Role::matrix, Init::xavier(d, inner)});
    w2_ = site.store.add({site.name + ".w2", {d, inner}, Role::matrix, Init::xavier(inner, d)});
    if (!values.bias) return;
    b1_ = site.store.add({site.name + ".b1", {inner}, Role::vector, Init::constant(0)});
    b2_ = site.store.add({site.name + ".b2", {d}, Role::vector, Init::constant(0)});
}

BranchOutput FeedForwardBlock::branch(const Tensor& x_TBD, const State&, const Call& call) const {
    auto bias = [&](const Parameter& b) { return b ? b.tensor().to(x_TBD.scalar_type()) : Tensor(); };
    Tensor inner = at::linear(x_TBD, w1_.tensor(), bias(b1_));
    inner = values_.activation == FeedForwardActivation::relu ? at::relu(inner) : at::gelu(inner);
    if (call.pass.training) inner = ops::dropout(inner, values_.dropout, call.site("inner"), 1);
    BranchOutput out;
    out.delta_TBD = at::linear(inner, w2_.tensor(), bias(b2_));
    return out;
}

StepOutput FeedForwardBlock::add_step(StepProgram& program, const float* x, int64_t) const {
    float *inner = program.vector(values_.inner), *delta = program.vector(width_);
    const auto activation = values_.activation == FeedForwardActivation::relu ? StepProgram::Activation::relu
                                                                              : StepProgram::Activation::gelu;
    program.product({.weight = w1_, .bias = b1_, .x = x, .y = inner, .activation = activation});
    program.product({.weight = w2_, .bias = b2_, .x = inner, .y = delta});
    return {delta, {}};
}

double FeedForwardBlock::flops_per_token(const CostShape&) const { return 4 * double(width_) * double(values_.inner); }

double FeedForwardBlock::activation_numbers_per_token(const CostShape&) const {
    // relu keeps what it gives, gelu what it is given, too
    return 2 * double(width_) + (values_.activation == FeedForwardActivation::relu ? 1 : 2) * double(values_.inner);
}

}  // namespace lithe
