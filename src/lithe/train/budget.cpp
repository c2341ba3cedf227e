#include "lithe/train/budget.h"

#include <algorithm>

namespace lithe {

double tokens_of_update(const TrainConfig& train) { return double(train.batch * train.length * train.accumulation); }

double tokens_of_budget(const TrainConfig& train) {
    const double by_steps = double(train.max_steps) * tokens_of_update(train);
    if (train.max_steps > 0 && train.max_tokens > 0) return std::min(by_steps, double(train.max_tokens));
    return std::max(by_steps, double(train.max_tokens));
}

}  // namespace lithe
