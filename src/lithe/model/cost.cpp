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

CostShape encoder_shape(CostShape shape) {
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

// What a way of recomputing makes of both stacks; without an encoder the second is nothing.
struct StackCosts {
    RecomputeCost decoder, encoder;
};

static StackCosts stack_costs(const LanguageModel& model, const CostShape& shape, const Recompute& recompute) {
    StackCosts costs{cost_of(recompute, load_of(model.stack(), shape, model.config().width)), {}};
    if (const TokenStack* encoder = model.encoder())
        costs.encoder = cost_of(recompute, load_of(encoder->stack(), encoder_shape(shape), encoder->config().width));
    return costs;
}

double recomputed_flops_per_token(const LanguageModel& model, const Config& config, const Recompute& recompute) {
    const StackCosts costs = stack_costs(model, cost_shape(config), recompute);
    return costs.decoder.reruns + costs.encoder.reruns;
}

// Bytes of what backward passes need: at the end of the forward pass beside a chunk of logits, in that of the decoder,
// in that of the encoder.
static double activation_bytes(const LanguageModel& model, const Config& config, const CostShape& shape,
                               const Recompute& recompute) {
    const double tokens = double(config.train.batch) * double(config.train.length);
    const StackCosts costs = stack_costs(model, shape, recompute);
    double outer = 2 * double(model.config().width);
    if (const TokenStack* encoder = model.encoder()) outer += 2 * double(encoder->config().width);
    constexpr double kLogits = 64 << 20;  // a chunk and its gradient
    const double logits = std::min(kLogits, tokens * 2 * double(model.vocabulary_size()) * double(shape.element_size));
    const auto bytes = [&](double numbers) {
        return tokens * (numbers * double(shape.element_size) + lookup_bytes(model.config()));
    };
    return std::max({bytes(outer + costs.encoder.held + costs.decoder.held) + logits,
                     bytes(outer + costs.encoder.held + costs.decoder.peak), bytes(outer + costs.encoder.peak)});
}

// The share of gradients that are there when the first group of layers runs again, the last one of a backward pass.
static double gradients_beside(const Recompute& recompute, size_t layers) {
    const double all = double(layers);
    switch (recompute.method) {
        case RecomputeMethod::uniform:
            return 1 - std::min(all, double(recompute_number(recompute, int64_t(layers)))) / all;
        case RecomputeMethod::optimal: return 1 - 1 / all;
        case RecomputeMethod::none:
        case RecomputeMethod::selective:
        case RecomputeMethod::memory: break;
    }
    return 0;
}

static MemoryEstimate estimate_memory(const LanguageModel& model, const Config& config, int working_bytes,
                                      const Recompute& recompute) {
    MemoryEstimate estimate;
    const auto trained = double(model.parameters().count_in_flat());
    CostShape shape = cost_shape(config);
    shape.element_size = working_bytes;
    estimate.weights = weight_bytes(model, working_bytes);
    // the flat gradient and moments
    estimate.optimizer = trained * (4 + moment_bytes(config.optimizer));
    for (const AppliedBlock& applied : model.stack().blocks)
        if (!applied.parts->kind->traits.position_wise)
            estimate.state += double(config.train.batch) * double(model.config().width) *
                              (4 + double(config.model.memory) * working_bytes);
    // gradients of each part of a batch come as activations go
    const double gradients = (trained + double(model.parameters().count_with_lora())) *
                             double(std::max<int64_t>(1, config.train.parts)) * working_bytes;
    const double beside = gradients_beside(recompute, model.stack().root->size());
    estimate.activations = std::max(activation_bytes(model, config, shape, recompute) + beside * gradients, gradients);
    estimate.base = kLibraries;
    return estimate;
}

MemoryEstimate estimate_memory(const LanguageModel& model, const Config& config, int working_bytes) {
    return estimate_memory(model, config, working_bytes, choose_recompute(model, config, working_bytes));
}

Recompute choose_recompute(const LanguageModel& model, const Config& config, int working_bytes) {
    const Recompute asked = parse_recompute(config.train.recompute);
    if (asked.method != RecomputeMethod::memory) return asked;
    const double limit = config.train.max_memory > 0 ? double(config.train.max_memory) : double(available_memory());
    size_t layers = model.stack().root->size();
    if (model.encoder()) layers = std::max(layers, model.encoder()->stack().root->size());
    std::optional<Recompute> best;
    double least = 0, fewest = 0;
    for (const Recompute& way : ways_to_recompute(layers)) {
        const double needs = estimate_memory(model, config, working_bytes, way).total();
        least = least == 0 ? needs : std::min(least, needs);
        const double again = recomputed_flops_per_token(model, config, way);
        if (needs > limit || (best && again >= fewest)) continue;
        best = way;
        fewest = again;
        if (way.method == RecomputeMethod::none) break;  // nothing costs less
    }
    if (best) return *best;
    fail({.kind = ErrorKind::resources,
          .what = "no way of recomputing activations makes the run small enough",
          .where = "train.max_memory",
          .expected = "at most " + format_bytes(limit),
          .got = format_bytes(least) + " at least",
          .hint = "lower train.batch (and raise train.accumulation), train.length or model.width"});
}

}  // namespace lithe
