#pragma once

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe::tokenize {

// A tokenizer.json: added tokens, normalizer, pre-tokenizer, model, decoder, each made from its part of the file. Its
// post-processor, truncation and padding shape single inputs and do not apply to a corpus: they are kept, not applied.
// Throws bad_file naming the part that is wrong or not supported.
TokenizerPtr read_pipeline(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
