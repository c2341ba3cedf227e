// What a model says of texts without labels.
#pragma once

#include <functional>
#include <stop_token>

#include "lithe/objectives/label_objective.h"

namespace lithe {

struct PredictOptions {
    int64_t batch = 32, length = 128;
    std::stop_token stop = {};
    std::function<void(double done)> progress = {};  // share of the texts
};

// For each text (or pair) of the view, in its order. The models are materialized. Throws stopped.
std::vector<LabelObjective::Told> predict(const LabelObjective& objective, const Models& models,
                                          const TokenView& tokens, const PredictOptions& options);

}  // namespace lithe
