#include "lithe/model/cost.h"

namespace lithe {

CostShape cost_shape(const Config& config) {
    return {.length = config.train.length,
            .memory = config.model.memory,
            .batch = config.train.batch,
            .causal = config.model.direction == "causal",
            .kept = config.model.memory_form == "projections"};
}

CostShape evaluation_shape(const Config& config) {
    CostShape shape = cost_shape(config);
    if (config.evaluation.length > 0) shape.length = config.evaluation.length;
    if (config.evaluation.memory >= 0) shape.memory = config.evaluation.memory;
    shape.batch = 1;
    return shape;
}

ModelCost count_cost(const LanguageModel& model, const CostShape& shape) {
    ModelCost cost;
    cost.parameters = model.parameters().count();
    cost.parameters_without_embeddings = model.parameters().count_without_embeddings();
    double saved = 0;
    for (const AppliedBlock& applied : model.stack().blocks) {
        LayerCost layer{applied.label, applied.parts->kind->name, 0, applied.parts->block->flops_per_token(shape)};
        saved += applied.parts->block->flops_without_input_gradient(shape);
        for (size_t i = applied.parts->first_parameter; i < applied.parts->end_parameter && !applied.shared; ++i)
            layer.parameters += model.parameters().spec(i).count();
        cost.flops_per_token += layer.flops_per_token;
        cost.layers.push_back(layer);
    }
    cost.flops_per_token += model.outer_flops_per_token();
    cost.training_flops_per_token = 3 * cost.flops_per_token - saved;
    return cost;
}

MemoryEstimate estimate_memory(const LanguageModel& model, const Config& config, int working_bytes) {
    MemoryEstimate estimate;
    const auto tables = double(model.parameters().count_in_tables());
    const auto parameters = double(model.parameters().count()) - tables;
    const auto tokens = double(config.train.batch) * double(config.train.length);
    const CostShape shape = cost_shape(config);
    estimate.weights = parameters * (4 + (working_bytes == 2 ? 2 : 0)) + tables * 4;
    // the flat gradient, moments, gradients of one pass for each part of a batch
    const double passes = double(std::max<int64_t>(1, config.train.parts)) * working_bytes;
    estimate.optimizer =
        parameters * (4 + (config.optimizer.name == "sgd" ? 4 : 8) + (config.optimizer.lookahead_steps > 0 ? 4 : 0) +
                      (config.optimizer.average > 0 ? 4 : 0) + passes);
    double numbers = 2 * double(model.config().width);
    for (const AppliedBlock& applied : model.stack().blocks) {
        numbers += applied.parts->block->activation_numbers_per_token(shape);
        if (!applied.parts->kind->traits.position_wise)
            estimate.state += double(config.train.batch) * double(model.config().width) *
                              (4 + double(config.model.memory) * working_bytes);
    }
    constexpr double kLogits = 64 << 20;  // a chunk and its gradient
    estimate.activations = tokens * numbers * working_bytes +
                           std::min(kLogits, tokens * 2 * double(model.vocabulary_size()) * working_bytes);
    estimate.base = 220.0 * 1024 * 1024;  // LibTorch itself
    return estimate;
}

}  // namespace lithe
