#include "lithe/blocks/attention.h"

namespace lithe {

AttentionValues AttentionValues::defaults(const ModelConfig& model) {
    AttentionValues values;
    values.heads = model.heads;
    values.attention_dropout = model.attention_dropout;
    return values;
}

void AttentionValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the four products"}, bias);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
}

void AttentionValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (model.width % heads)
        problems.add(where + ": width " + std::to_string(model.width) + " is no multiple of heads " +
                     std::to_string(heads));
}

AttentionBlock::Projection AttentionBlock::add(const BlockSite& site, const std::string& name, int64_t stacked) const {
    Projection p;
    p.weight = site.store.add(
        {site.name + "." + name, {stacked * width_, width_}, Role::matrix, Init::xavier(width_, width_), stacked});
    if (values_.bias)
        p.bias =
            site.store.add({site.name + "." + name + "_bias", {stacked * width_}, Role::vector, Init::constant(0)});
    return p;
}

Tensor AttentionBlock::Projection::operator()(const Tensor& x, int64_t first) const {
    auto rows = [&](const Tensor& all) { return first == 0 ? all : all.narrow(0, first, all.size(0) - first); };
    return at::linear(x, rows(weight.tensor()), bias ? rows(bias.tensor()).to(x.scalar_type()) : Tensor());
}

AttentionBlock::AttentionBlock(const AttentionValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    qkv_ = add(site, "qkv", 3);
    out_ = add(site, "out", 1);
}

BranchOutput AttentionBlock::branch(const Tensor& x_TBD, const State& state, const Context& context) const {
    BranchOutput out;
    ops::AttentionInput in{.kv_TBX = qkv_(x_TBD), .heads = values_.heads};
    Tensor memory = state.get("memory");
    if (context.keep_projections) in.memory_MBX = state.get("projections");
    else if (memory.defined()) in.memory_MBX = qkv_(memory, width_);
    const int64_t old = in.memory_MBX.defined() ? in.memory_MBX.size(0) : 0;
    MaskAndHidden mask = make_mask(state, old, x_TBD.size(0), x_TBD.size(1), context);
    in.mask = mask.mask;
    if (context.training) in.dropout = values_.attention_dropout, in.dropout_key = context.site("attention");
    out.delta_TBD = out_(ops::attention(in));
    if (context.keep_projections)
        remember_projections(state, in.kv_TBX.narrow(2, width_, 2 * width_), mask, context, out.state);
    else remember_inputs(state, x_TBD, mask, context, out.state);
    return out;
}

StepOutput AttentionBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    float *qkv = program.vector(3 * width_), *mixed = program.vector(width_), *delta = program.vector(width_);
    program.product({.weight = qkv_.weight, .bias = qkv_.bias, .x = x, .y = qkv});
    auto load = program.attention(
        {.q = qkv, .kv = qkv + width_, .width = width_, .heads = values_.heads, .memory = memory, .out = mixed});
    program.product({.weight = out_.weight, .bias = out_.bias, .x = mixed, .y = delta});
    return {delta, [load](const State& state) { load(state.get("projections")); }};
}

double AttentionBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_);
    return 8 * d * d + 4 * shape.keys() * d + shape.again() * 4 * d * d;
}

double AttentionBlock::flops_without_input_gradient(const CostShape& shape) const {
    const double d = double(width_);
    return shape.again() * 4 * d * d + (shape.kept ? 4 * double(shape.memory) * d : 0);
}

double AttentionBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double span = 1 + double(shape.memory) / double(shape.length);
    return double(width_) * (5 + 4 * span) + 2 * double(values_.heads) * (double(shape.memory) + double(shape.length));
}

}  // namespace lithe
