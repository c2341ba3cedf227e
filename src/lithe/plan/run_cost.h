// What a configuration's training takes on this machine: counted, and measured for some seconds.
#pragma once

#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>

#include "lithe/model/cost.h"
#include "lithe/train/machine.h"

namespace lithe {

struct RunCost {
    ModelCost model;
    double memory = 0, available = 0;  // bytes: of the training process, and what there is
    double tokens = 0;                 // of the budget; 0: it has none
    double tokens_per_second = 0;      // of training, evaluations and saving aside
    int64_t measured_batch = 0;        // rows; fewer than the configuration's where those do not fit
    double seconds = 0;                // of the whole budget; 0: it has none
    Machine machine;
    double training_flops() const { return tokens * model.training_flops_per_token; }
    bool fits() const { return memory <= available; }
};

// `vocabulary`: the model's. The speed is that of made-up tokens. Throws usage for a network with searched places,
// stopped when a stop is asked for.
RunCost measure_run_cost(Config config, int64_t vocabulary, const std::stop_token& stop = {});

std::string run_cost_text(const RunCost& cost, const Config& config);
nlohmann::ordered_json run_cost_json(const RunCost& cost, const Config& config);

}  // namespace lithe
