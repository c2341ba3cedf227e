// How large gradients are, block by block: whether what a loss says reaches the first layers.
#pragma once

#include <vector>

#include "lithe/data/token_view.h"
#include "lithe/model/language_model.h"
#include "lithe/report/inspection.h"

namespace lithe {

// Of the loss of next tokens, the mean over `rows` windows of `length` tokens that are spread over the text; blocks in
// their order. Weights that are not trained are left out.
std::vector<BlockGradient> gradient_norms(LanguageModel& model, const TokenView& text, int64_t length, int64_t rows);

}  // namespace lithe
