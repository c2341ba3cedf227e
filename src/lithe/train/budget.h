// A run's budget in tokens, as its settings state it.
#pragma once

#include "lithe/spec/config.h"

namespace lithe {

// Positions of one update, padding included.
double tokens_of_update(const TrainConfig& train);
// What the budgets in steps and tokens allow, the less where there are both; 0: there are none.
double tokens_of_budget(const TrainConfig& train);

}  // namespace lithe
