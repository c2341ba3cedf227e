#include "lithe/blocks/cross_attention.h"

#include "lithe/blocks/look.h"
#include "lithe/ops/attention.h"

namespace lithe {

CrossAttentionValues CrossAttentionValues::defaults(const ModelConfig& model) {
    CrossAttentionValues values;
    values.heads = model.heads;
    values.attention_dropout = model.attention_dropout;
    return values;
}

void CrossAttentionValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the four products"}, bias);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
    v.field({.name = "init", .help = "of the matrices: Xavier's uniform, or normal with deviation 0.02"}, init);
}

void CrossAttentionValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    if (model.width % heads)
        problems.add(where + ": width " + std::to_string(model.width) + " is no multiple of heads " +
                     std::to_string(heads));
}

static Init matrix_init(const CrossAttentionValues& values, int64_t inputs, int64_t outputs) {
    return values.init == AttentionInit::normal ? Init::normal(0.02) : Init::xavier(inputs, outputs);
}

CrossAttentionBlock::CrossAttentionBlock(const CrossAttentionValues& values, const BlockSite& site)
    : values_(values),
      width_(site.model.width),
      source_width_(site.source_width > 0 ? site.source_width : width_),
      query_(site, "query", {1, width_, width_}, values.bias, matrix_init(values, width_, width_)),
      key_value_(site, "key_value", {2, width_, source_width_}, values.bias,
                 matrix_init(values, source_width_, width_)),
      out_(site, "out", {1, width_, width_}, values.bias, matrix_init(values, width_, width_)) {}

BranchOutput CrossAttentionBlock::branch(const Tensor& x_TBD, const State& state, const Call& call) const {
    const Tensor source_SBD = call.bag.get(kSource);
    const bool anew = source_SBD.defined();
    const Tensor keys_values = anew ? key_value_(source_SBD) : state.get("source");
    ops::check(keys_values.defined(), "cross-attention", "there is no source: an encoder runs before its decoder");
    ops::check(keys_values.size(1) == x_TBD.size(1), "cross-attention",
               "a source of " + std::to_string(keys_values.size(1)) + " rows for " + std::to_string(x_TBD.size(1)));
    const Tensor padding_BS = anew ? call.bag.get(kSourcePadding) : state.get("hidden");
    ops::AttentionInput in{.q_TBP = query_(x_TBD), .heads = values_.heads};
    // the source stands where a memory does: before a segment of its own that is empty
    in.memory_MBX = keys_values;
    in.kv_TBX = keys_values.narrow(0, 0, 0);
    in.mask.causal = false;
    in.mask.hidden_BS = padding_BS;
    if (call.pass.training) {
        in.dropout = values_.attention_dropout;
        in.dropout_key = call.site("attention");
    }
    const Tensor mixed = ops::attention(in);
    show(call, {keys_values, width_, mixed, values_.heads});
    BranchOutput out;
    out.delta_TBD = out_(mixed);
    if (call.pass.training) return out;
    out.state.put("source", keys_values, 1, 0);
    if (padding_BS.defined()) out.state.put("hidden", padding_BS, 0, 1);
    return out;
}

double CrossAttentionBlock::flops_per_token(const CostShape& shape) const {
    const double d = double(width_), source = shape.source_positions();
    const double projected = shape.source_kept ? 0 : source / double(shape.length) * 4 * d * double(source_width_);
    return 4 * d * d + 4 * source * d + projected;
}

double CrossAttentionBlock::activation_numbers_per_token(const CostShape& shape) const {
    const double source = shape.source_positions();
    return double(width_) * (3 + 2 * source / double(shape.length)) + double(values_.heads) * source;
}

}  // namespace lithe
