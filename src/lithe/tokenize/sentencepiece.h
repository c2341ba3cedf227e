#pragma once

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe::tokenize {

// `model`: the bytes of a .model file. Throws bad_file when the library refuses it.
TokenizerPtr sentencepiece_from_model(const std::string& model, const std::string& source);
// {"kind": "sentencepiece", "model": base64}
TokenizerPtr read_sentencepiece(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
