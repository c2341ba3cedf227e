// What of a run must not depend on how often it was broken off.
#pragma once

#include <nlohmann/json.hpp>

#include "lithe/model/checkpoint.h"
#include "support/files.h"

namespace lithe::testing {

// Weights and moments of the newest checkpoint.
inline std::string saved_tensors(const std::string& run) {
    const auto all = list_checkpoints(run);
    if (all.empty()) return "no checkpoint";
    return read_all(all[0].folder + "/model.safetensors") + read_all(all[0].folder + "/optimizer.safetensors");
}

// The bytes that must be equal: weights, moments, carried state, counters (without wall-clock times).
inline std::string essence(const std::string& run) {
    const auto all = list_checkpoints(run);
    if (all.empty()) return "no checkpoint";
    auto state = nlohmann::json::parse(read_all(all[0].folder + "/state.json"));
    state.erase("train_seconds");
    if (state.contains("evaluation")) state["evaluation"].erase("train_seconds");
    return state.dump() + saved_tensors(run);
}

}  // namespace lithe::testing
