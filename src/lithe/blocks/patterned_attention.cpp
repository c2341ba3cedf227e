#include "lithe/blocks/patterned_attention.h"

#include "lithe/blocks/look.h"
#include "lithe/blocks/matrix_state_cell.h"

namespace lithe {

void PatternedValues::visit_shared(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the products"}, bias);
    v.field({.name = "init", .help = "of the matrices: Xavier's uniform, or normal with deviation 0.02"}, init);
}

void PatternedValues::check_shared(const ModelConfig& model, const std::string& where, Problems& problems) const {
    check_heads(where, "width", model.width, heads, problems);
    if (model.positions == Positions::relative || model.positions == Positions::rotary)
        problems.add(where + ": this kind turns no keys, and model.positions is \"" + name_of(model.positions) + "\"",
                     "", "none, learned or sinusoidal ones go with it");
}

PatternedBlock::PatternedBlock(const PatternedValues& values, const BlockSite& site)
    : heads_(values.heads),
      width_(site.model.width),
      qkv_(site, "qkv", {3, width_, width_}, values.bias, values.matrix_init(width_)),
      out_(site, "out", {1, width_, width_}, values.bias, values.matrix_init(width_)) {}

BranchOutput PatternedBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    ops::AttentionInput in{.kv_TBX = qkv_(x_TBD), .heads = heads_};
    const Recalled recalled =
        recall(state, x_TBD, call, [&](const Tensor& memory_MBD) { return qkv_(call.normed(memory_MBD), width_); });
    in.memory_MBX = recalled.memory_MBX;
    in.mask = recalled.mask.mask;
    const Tensor mixed = attended(in, x_TBD, state, call);
    show(call, {in.kv_TBX, 2 * width_, mixed, heads_});
    out.delta_TBD = out_(mixed);
    remember(state, recalled, call.entering(x_TBD), in.kv_TBX.narrow(2, width_, 2 * width_), call, out.state);
    carry(x_TBD, state, call.pass, out.state);
    return out;
}

State PatternedBlock::skip(const Tensor& x_TBD, const State& state, const Call& call) const {
    State after = skipped_attention(x_TBD, state, call);
    carry(x_TBD, state, call.pass, after);
    return after;
}

double PatternedBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_);
    return 8 * d * d + shape.again() * 4 * d * d + 4 * pairs(shape) / double(shape.length) * d;
}

double PatternedBlock::flops_without_input_gradient(const CostShape& shape) const {
    return shape.again() * 4 * double(width_) * double(width_);
}

double PatternedBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double span = 1 + double(shape.memory) / double(shape.length);
    return double(width_) * (4 + 2 * span + (parts() > 1 ? double(parts()) : 0));
}

}  // namespace lithe
