// Who reads whom in a text, head by head, of every block that mixes positions: the weight is the gradient of what a
// head gives at a query by the value at a key (blocks/look.h). Of softmax attention these are its probabilities; of
// linear attention, matrix states and projections along time they are what those amount to, and may be negative.
#pragma once

#include <vector>

#include "lithe/model/language_model.h"
#include "lithe/report/inspection.h"

namespace lithe {

// Of one text, read from its beginning, in the order of the blocks. The model must be materialized with weights that
// take gradients, and has one stack. What runs without a gradient graph (nothing does outside training) is left out.
std::vector<AttentionMap> attention_maps(const LanguageModel& model, const std::vector<int64_t>& ids);

}  // namespace lithe
