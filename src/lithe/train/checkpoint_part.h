// A part of a training run that lives in its checkpoints: the optimizer, carried states, the choices of a search. Each
// names its tensors and its entry of state.json itself, and takes both back by name; the trainer knows none of them.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lithe/model/saved_tensors.h"
#include "lithe/train/search_steps.h"
#include "lithe/train/step_runner.h"

namespace lithe {

class CheckpointPart {
 public:
    virtual ~CheckpointPart() = default;
    // Of its entry in state.json; its tensors' names begin with prefixes that no other part has.
    virtual std::string name() const = 0;
    virtual void save(std::vector<NamedTensor>& /*tensors*/) const {}
    // Null: it has tensors alone. A key that is not in it when it was loaded is one of a newer version.
    virtual nlohmann::ordered_json entry() const { return nullptr; }
    // `state`: its entry, null where there is none. Throws bad_file for what is missing or does not fit;
    // nlohmann::json::exception for a damaged entry.
    virtual void load(SavedTensors& saved, const nlohmann::json& state) = 0;
};
using CheckpointParts = std::vector<std::unique_ptr<CheckpointPart>>;

// `store`: what the optimizer was made for. With its tables, whose rows that were never reached `seed` draws again.
std::unique_ptr<CheckpointPart> checkpoint_part_of(Optimizer& optimizer, ParameterStore& store, uint64_t seed);
// States that are carried from step to step; `working`: what their memories are computed in.
std::unique_ptr<CheckpointPart> checkpoint_part_of(StepRunner& step, at::Device device, at::ScalarType working);
std::unique_ptr<CheckpointPart> checkpoint_part_of(SearchSteps& search, at::Device device, at::ScalarType working);

// Counters without tensors: `save` makes the entry, `load` takes it.
std::unique_ptr<CheckpointPart> checkpoint_part_of(std::string name, std::function<nlohmann::ordered_json()> save,
                                                   std::function<void(const nlohmann::json&)> load);

// The tensors of a schema-1 optimizer.safetensors under today's names (spec/migrations.h): flat ones are cut into the
// parameters of `store`.
void migrate_optimizer_tensors(SavedTensors& saved, const ParameterStore& store);

}  // namespace lithe
