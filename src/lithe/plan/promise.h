// What a plan promised, and what a first evaluation makes of it. Of a text the table knows only what PPMd makes of it,
// and that is wrong by more than its interval where a text is unlike those of the table. An evaluation on the way knows
// the model on the text itself; how far the rest of the training carries, the table knows well (docs/lab/planner.md).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "lithe/plan/prediction.h"

namespace lithe {

struct Promise {
    PlanShape shape;
    CorpusLook corpus;
    double tokens = 0;  // of the whole training, as planned
    Prediction expected;
    uint64_t first_bytes = 0;  // of the validation split, that it is about
};

// Of plan.json; nullopt where the plan promised nothing or the file is of another kind.
std::optional<Promise> promise_of(const nlohmann::json& plan);

// The end of a training on `all` tokens, from bits per byte on the promised bytes after `tokens` of it.
Prediction corrected(const Promise& promise, double tokens, double all, double bits);

// "1.163 bits per byte (1.112 to 1.216 in 9 of 10)".
std::string prediction_text(const Prediction& prediction);

}  // namespace lithe
