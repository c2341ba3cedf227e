// What a recurrence keeps from one token to the next: the gradient of each number of its state by the number itself a
// step before. Of an element-wise recurrence that is its forget gate (of SRU with what the state adds to the gate); of
// a matrix in the loop and of a delta rule the sum over what a number is made of; of a complex state its length.
#pragma once

#include <vector>

#include "lithe/model/language_model.h"
#include "lithe/report/inspection.h"

namespace lithe {

// Of one text, token by token, for states without an axis of time; others (attention's memories) are left out.
std::vector<KeptState> kept_states(const LanguageModel& model, const std::vector<int64_t>& ids);

}  // namespace lithe
