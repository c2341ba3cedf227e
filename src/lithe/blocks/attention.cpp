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

AttentionBlock::Projection AttentionBlock::add(const BlockSite& site, const std::string& name) const {
    Projection p;
    p.weight = site.store.add({site.name + "." + name, {width_, width_}, Role::matrix, Init::xavier(width_, width_)});
    if (values_.bias)
        p.bias = site.store.add({site.name + "." + name + "_bias", {width_}, Role::vector, Init::constant(0)});
    return p;
}

Tensor AttentionBlock::Projection::operator()(const Tensor& x) const {
    return bias ? at::linear(x, weight.tensor(), bias.tensor().to(x.scalar_type())) : at::linear(x, weight.tensor());
}

AttentionBlock::AttentionBlock(const AttentionValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width) {
    q_ = add(site, "q");
    k_ = add(site, "k");
    v_ = add(site, "v");
    out_ = add(site, "out");
}

BranchOutput AttentionBlock::branch(const Tensor& x_TBD, const State& state, const Context& context) const {
    BranchOutput out;
    AttentionKeys keys;
    Tensor x_BTD = x_TBD.transpose(0, 1).contiguous(), seen_BSD = x_BTD;
    if (Tensor memory = state.get("memory"); memory.defined() && !context.keep_projections) {
        keys.memory = memory.size(0);
        seen_BSD = at::cat({memory.transpose(0, 1), x_BTD}, 1);
    }
    keys.k_BSP = k_(seen_BSD);
    keys.v_BSP = v_(seen_BSD);
    if (Tensor old = state.get("keys"); old.defined() && context.keep_projections) {
        keys.memory = old.size(1);
        keys.k_BSP = at::cat({old, keys.k_BSP}, 1);
        keys.v_BSP = at::cat({state.get("values"), keys.v_BSP}, 1);
    }
    MaskAndHidden mask = make_mask(state, keys.memory, x_TBD.size(0), x_TBD.size(1), context);
    Tensor mixed_BTD = attend(q_(x_BTD), keys, mask.mask, values_.heads, values_.attention_dropout, context);
    out.delta_TBD = out_(mixed_BTD.transpose(0, 1).contiguous());
    if (context.keep_projections) remember_projections(keys, mask, context, out.state);
    else remember_inputs(state, x_TBD, mask, context, out.state);
    return out;
}

double AttentionBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_), again = shape.causal ? double(shape.memory) / double(shape.length) : 0;
    return 8 * d * d + 4 * shape.keys() * d + again * 4 * d * d;
}

double AttentionBlock::flops_without_input_gradient(const CostShape& shape) const {
    return shape.causal ? double(shape.memory) / double(shape.length) * 4 * double(width_) * double(width_) : 0;
}

double AttentionBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double span = 1 + double(shape.memory) / double(shape.length);
    return double(width_) * (5 + 4 * span) + 2 * double(values_.heads) * (double(shape.memory) + double(shape.length));
}

}  // namespace lithe
