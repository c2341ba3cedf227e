// Windows of a text that everything is measured on that needs more than one place.
#pragma once

#include "lithe/data/token_view.h"
#include "lithe/ops/torch.h"

namespace lithe {

// Windows of `length` tokens, evenly spread over the text, [length][count] int64. Throws bad_file for a shorter text.
Tensor windows(const TokenView& text, int64_t length, int64_t count);

}  // namespace lithe
