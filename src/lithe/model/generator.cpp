#include "lithe/model/generator.h"

#include <algorithm>
#include <cmath>

namespace lithe {

ModelConfig Generator::stack_config(const ModelConfig& model, const GeneratorOptions& options) {
    ModelConfig stack = model;
    stack.heads = std::max<int64_t>(1, std::llround(double(model.heads) * options.width));
    const int64_t step = 2 * stack.heads;  // positions by rotation turn pairs
    const double width = double(model.width) * options.width;
    stack.width = std::max<int64_t>(1, std::llround(width / double(step))) * step;
    if (!options.layout.empty()) stack.layout = options.layout;
    return stack;
}

static Stack make_stack(ParameterStore& store, const Config& config, const ModelConfig& stack) {
    Problems problems;
    const LayoutNode layout = parse_layout(stack.layout);
    const auto blocks = resolve_blocks(layout, stack, config.blocks, problems, "objective.generator");
    problems.throw_if_any("objective.generator");
    return build_stack(layout, blocks, stack, store, "stack");
}

Generator::Generator(LanguageModel& model, const Config& config, const GeneratorOptions& options)
    : config_(stack_config(config.model, options)),
      outer_width_(config.model.width) {
    ParameterStore& store = model.parameters();
    const ParameterStore::Scope scope(store, kName);
    const int64_t inner = config_.width, outer = outer_width_;
    if (inner != outer) in_ = store.add({"in", {inner, outer}, Role::matrix, Init::xavier(outer, inner)});
    stack_ = make_stack(store, config, config_);
    if (config_.final_norm) final_norm_ = make_norm(store, "norm", config_);
    out_ = store.add({"transform.weight", {outer, inner}, Role::matrix, Init::xavier(inner, outer)});
    out_bias_ = store.add({"transform.bias", {outer}, Role::bias, Init::constant(0)});
    norm_ = LayerNorm(store, "transform.norm", outer, config_.norm_epsilon);
    head_ = head_kind(HeadForm::linear)
                .make(store, {.outputs = model.vocabulary_size(),
                              .width = outer,
                              .bias = config_.head_bias,
                              .tied = model.decoder().embedding().tokens()});
}

Tensor Generator::hidden(const LanguageModel& model, const Tensor& ids_TB, const Tensor& flags_TB, bool training,
                         const DrawKeys& keys, Aux& aux) const {
    Pass pass = model.pass(training, keys);
    pass.keys.rows = combine_key(keys.rows, kName);  // the two draw apart
    pass.entries = {};
    pass.set_flags(flags_TB);
    State none;
    Tensor x_TBG = model.decoder().embedding()(ids_TB, {}, pass, none);
    if (in_) x_TBG = at::linear(x_TBG, in_.tensor());
    UnitOutput out = stack_.root->forward({x_TBG, {}}, {}, pass);
    aux.append(std::move(out.aux));
    Tensor h_TBG = out.flow.x_TBD;
    if (final_norm_) h_TBG = final_norm_(h_TBG);
    if (training) h_TBG = ops::dropout(h_TBG, config_.dropout, shared_site(pass, "head"), 1);
    return norm_(at::gelu(at::linear(h_TBG, out_.tensor(), out_bias_.tensor().to(h_TBG.scalar_type()))));
}

double Generator::flops_per_token(const CostShape& shape, double predicted) const {
    const double product = 2 * double(config_.width) * double(outer_width_);
    double flops = (in_ ? product : 0) + product + predicted * head_->flops_per_token();
    for (const AppliedBlock& applied : stack_.blocks)
        flops += applied.parts->block->flops_per_token(shape) + applied.parts->adapter.flops_per_token();
    return flops;
}

}  // namespace lithe
