// What a model costs: parameters, floating-point operations, memory. Counted from the layout, before anything is
// allocated.
#pragma once

#include "lithe/model/language_model.h"

namespace lithe {

struct LayerCost {
    std::string label, kind;
    int64_t parameters = 0;  // 0 for a repeated application of shared weights
    double flops_per_token = 0;
};

struct ModelCost {
    int64_t parameters = 0, parameters_without_embeddings = 0;
    int64_t parameters_in_tables = 0;  // of n-grams: looked up by rows, a few of them for each token
    double flops_per_token = 0;  // forward; a multiply-add is 2; embedding look-ups and element-wise work not counted
    double training_flops_per_token = 0;  // forward + backward, without gradients of memory inputs
    std::vector<LayerCost> layers;
};
ModelCost count_cost(const LanguageModel& model, const CostShape& shape);
// "760k parameters", or "17.64M parameters (760k, and 16.88M in tables of n-grams)".
std::string parameters_text(double parameters, double in_tables);

// What a run's segments look like.
CostShape cost_shape(const Config& config);
// An encoder sees all of a segment and keeps nothing.
CostShape encoder_shape(CostShape shape);
// What an evaluation segment of one stream looks like.
CostShape evaluation_shape(const Config& config);

struct MemoryEstimate {
    double weights = 0, optimizer = 0, activations = 0, state = 0, base = 0;  // bytes
    double total() const { return weights + optimizer + activations + state + base; }
};
// Throws resources when the weights alone, as evaluation and generation have them, do not fit into this machine's
// memory or what is left of its limits: the kernel would end the process without a word. Tables that are read where
// they lie in a file need none that the system could not take back.
void check_weights_fit(const LanguageModel& model, at::ScalarType working, at::Device device);
// For training as configured, train.recompute included; `working_bytes` is 2 for bf16.
MemoryEstimate estimate_memory(const LanguageModel& model, const Config& config, int working_bytes);
// What train.recompute says. Of `memory`: the way with the fewest operations whose estimate is within train.max_memory,
// or what this machine has. Throws resources where none is.
Recompute choose_recompute(const LanguageModel& model, const Config& config, int working_bytes);
// Forward operations per token that a training step runs again.
double recomputed_flops_per_token(const LanguageModel& model, const Config& config, const Recompute& recompute);
// Of one checkpoint at most: of tables it holds the rows that training reached, as codes and in fp32.
double checkpoint_bytes(const LanguageModel& model, const OptimizerConfig& optimizer, double state);

}  // namespace lithe
