#include "lithe/blocks/relative_attention.h"

namespace lithe {

AttentionValues AttentionValues::defaults(const ModelConfig& model) {
    AttentionValues values;
    values.heads = model.heads;
    values.attention_dropout = model.attention_dropout;
    if (model.positions == Positions::relative) values.positions = KeyPositions::relative;
    return values;
}

void AttentionValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the four products"}, bias);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
    v.field({.name = "positions",
             .help = "of keys: none (absolute ones may be added at the embedding), or relative (Transformer-XL)"},
            positions);
    v.field({.name = "clamp_length",
             .help = "relative: distances beyond this count as this; 0 = no clamp",
             .minimum = 0,
             .maximum = 1 << 30},
            clamp_length);
    v.field({.name = "tie_position_biases", .help = "relative: one pair u, v for all layers, else one for each"},
            tie_position_biases);
    v.field({.name = "init", .help = "of the matrices: Xavier's uniform, or normal with deviation 0.02"}, init);
}

void AttentionValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (model.width % heads)
        problems.add(where + ": width " + std::to_string(model.width) + " is no multiple of heads " +
                     std::to_string(heads));
    if (positions == KeyPositions::relative && model.direction != Direction::causal)
        problems.add(where + ": relative positions count back from the query: the model must be causal");
    if (positions == KeyPositions::relative && model.width % 2)
        problems.add(where + ": relative positions need an even width");
}

Init AttentionValues::matrix_init(int64_t width) const {
    return init == AttentionInit::normal ? Init::normal(0.02) : Init::xavier(width, width);
}

AttentionBlock::AttentionBlock(const AttentionValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      qkv_(site, "qkv", {3, width_, width_}, values.bias, values.matrix_init(width_)),
      out_(site, "out", {1, width_, width_}, values.bias, values.matrix_init(width_)) {}

std::unique_ptr<Block> make_attention(const BlockOptions& options, const BlockSite& site) {
    const auto& values = values_of<AttentionValues>(options);
    if (values.positions == KeyPositions::relative) return std::make_unique<RelativeAttentionBlock>(values, site);
    return std::make_unique<AttentionBlock>(values, site);
}

BranchOutput AttentionBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    BranchOutput out;
    ops::AttentionInput in{.kv_TBX = qkv_(x_TBD), .heads = values_.heads};
    const Recalled recalled =
        recall(state, x_TBD, call, [&](const Tensor& memory_MBD) { return qkv_(call.normed(memory_MBD), width_); });
    in.memory_MBX = recalled.memory_MBX, in.mask = recalled.mask.mask;
    if (call.pass.training) in.dropout = values_.attention_dropout, in.dropout_key = call.site("attention");
    out.delta_TBD = out_(ops::attention(in));
    remember(state, recalled, call.entering(x_TBD), in.kv_TBX.narrow(2, width_, 2 * width_), call, out.state);
    return out;
}

StepOutput AttentionBlock::add_step(StepProgram& program, const float* x, int64_t memory) const {
    float *qkv = program.vector(3 * width_), *mixed = program.vector(width_), *delta = program.vector(width_);
    program.product({.weight = qkv_.weight, .bias = qkv_.bias, .x = x, .y = qkv});
    auto load = program.attention({.q = qkv,
                                   .kv = qkv + width_,
                                   .q_stride = 3 * width_,
                                   .kv_stride = 3 * width_,
                                   .width = width_,
                                   .heads = values_.heads,
                                   .memory = memory,
                                   .out = mixed});
    program.product({.weight = out_.weight, .bias = out_.bias, .x = mixed, .y = delta});
    return {delta, [load](const State& state, int64_t row) { load(state.get("projections"), row); }};
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
    return double(width_) * (4 + 2 * span) + kept_scores(shape, values_.heads, values_.attention_dropout, 2);
}

}  // namespace lithe
