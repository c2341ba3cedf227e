#include "lithe/model/cost.h"

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/spec/ngram_lengths.h"

namespace lithe {

std::string parameters_text(double parameters, double in_tables) {
    std::string text = format_count(parameters) + " parameters";
    if (in_tables > 0)
        text +=
            " (" + format_count(parameters - in_tables) + ", and " + format_count(in_tables) + " in tables of n-grams)";
    return text;
}

CostShape cost_shape(const Config& config) {
    return {.length = config.train.length,
            .memory = config.model.memory,
            .batch = config.train.batch,
            .causal = config.model.direction == Direction::causal,
            .kept = config.model.memory_form == MemoryForm::projections};
}

CostShape evaluation_shape(const Config& config) {
    CostShape shape = cost_shape(config);
    if (config.evaluation.length > 0) shape.length = config.evaluation.length;
    if (config.evaluation.memory >= 0) shape.memory = config.evaluation.memory;
    shape.batch = 1;
    return shape;
}

// An encoder sees all of a segment and keeps nothing.
static CostShape encoder_shape(CostShape shape) {
    shape.causal = false;
    shape.memory = 0;
    return shape;
}

ModelCost count_cost(const LanguageModel& model, const CostShape& shape) {
    ModelCost cost;
    cost.parameters = model.parameters().count();
    cost.parameters_without_embeddings = model.parameters().count_without_embeddings();
    cost.parameters_in_tables = model.parameters().count_in_tables();
    double saved = 0;
    const auto add = [&](const Stack& stack, const CostShape& of) {
        for (const AppliedBlock& applied : stack.blocks) {
            LayerCost layer{applied.label, applied.parts->kind->name, 0,
                            applied.parts->block->flops_per_token(of) + applied.parts->adapter.flops_per_token()};
            saved += applied.parts->block->flops_without_input_gradient(of);
            for (size_t i = applied.parts->first_parameter; i < applied.parts->end_parameter && !applied.shared; ++i)
                layer.parameters += model.parameters().spec(i).count();
            cost.flops_per_token += layer.flops_per_token;
            cost.layers.push_back(layer);
        }
    };
    // a source token for each token of the target
    if (model.encoder()) add(model.encoder()->stack(), encoder_shape(shape));
    add(model.stack(), shape);
    cost.flops_per_token += model.outer_flops_per_token();
    cost.training_flops_per_token = 3 * cost.flops_per_token - saved;
    return cost;
}

constexpr double kLibraries = 220.0 * 1024 * 1024;  // LibTorch itself

static double weight_bytes(const LanguageModel& model, int working_bytes) {
    const ParameterStore& store = model.parameters();
    const auto tables = double(store.count_in_tables()), mapped = double(store.count_coded());
    const double parameters = double(store.count()) - tables;
    const double copies = working_bytes == 2 ? 2 * parameters : 4 * double(store.count_with_lora());
    return parameters * 4 + copies + (tables - mapped) * 4;
}

void check_weights_fit(const LanguageModel& model, at::ScalarType working, at::Device device) {
    const double needs = kLibraries + weight_bytes(model, working == at::kBFloat16 ? 2 : 4);
    const auto available = double(available_memory());
    if (!device.is_cpu() || needs <= available) return;
    fail({.kind = ErrorKind::resources,
          .what = "the model does not fit into memory",
          .where = format_count(double(model.parameters().count())) + " parameters",
          .expected = "at most " + format_bytes(available),
          .got = format_bytes(needs),
          .hint = "close other programs, raise the limit of the container, or take a smaller model"});
}

// Bytes per token of looked-up n-grams and of their gradient, in fp32.
static double lookup_bytes(const ModelConfig& model) {
    const auto tables = double(parse_ngram_lengths(model.ngrams.lengths).size());
    return tables * double(model.ngrams.width) * 2 * 4;
}

// What an optimizer keeps of each number that is in no table.
static double moment_bytes(const OptimizerConfig& optimizer) {
    return (optimizer.name == OptimizerKind::sgd ? 4 : 8) + (optimizer.lookahead_steps > 0 ? 4 : 0) +
           (optimizer.average > 0 ? 4 : 0);
}

double checkpoint_bytes(const LanguageModel& model, const OptimizerConfig& optimizer, double state) {
    const ParameterStore& store = model.parameters();
    double tables = 0;
    for (const size_t index : store.tables()) {
        constexpr double kRow = 2 + 4 + 0.25;  // scale, sum of squares, bits in both files
        tables += double(store.spec(index).count()) * (1 + 4) + double(store.spec(index).shape[0]) * kRow;
    }
    const auto others = double(store.count() - store.count_in_tables());
    return others * 4 + double(store.count_in_flat()) * moment_bytes(optimizer) + tables + state;
}

MemoryEstimate estimate_memory(const LanguageModel& model, const Config& config, int working_bytes) {
    MemoryEstimate estimate;
    const auto trained = double(model.parameters().count_in_flat());
    const auto tokens = double(config.train.batch) * double(config.train.length);
    CostShape shape = cost_shape(config);
    shape.element_size = working_bytes;
    estimate.weights = weight_bytes(model, working_bytes);
    // the flat gradient and moments
    estimate.optimizer = trained * (4 + moment_bytes(config.optimizer));
    double numbers = 2 * double(model.config().width);
    for (const AppliedBlock& applied : model.stack().blocks) {
        numbers += applied.parts->block->activation_numbers_per_token(shape) +
                   applied.parts->adapter.activation_numbers_per_token();
        if (!applied.parts->kind->traits.position_wise)
            estimate.state += double(config.train.batch) * double(model.config().width) *
                              (4 + double(config.model.memory) * working_bytes);
    }
    if (const TokenStack* encoder = model.encoder()) {
        numbers += 2 * double(encoder->config().width);
        for (const AppliedBlock& applied : encoder->stack().blocks)
            numbers += applied.parts->block->activation_numbers_per_token(encoder_shape(shape));
    }
    constexpr double kLogits = 64 << 20;  // a chunk and its gradient
    const double activations = tokens * (numbers * working_bytes + lookup_bytes(model.config())) +
                               std::min(kLogits, tokens * 2 * double(model.vocabulary_size()) * working_bytes);
    // gradients of each part of a batch come as activations go
    const double gradients = (trained + double(model.parameters().count_with_lora())) *
                             double(std::max<int64_t>(1, config.train.parts)) * working_bytes;
    estimate.activations = std::max(activations, gradients);
    estimate.base = kLibraries;
    return estimate;
}

}  // namespace lithe
