#pragma once

#include "lithe/tokenize/json_fields.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe::tokenize {

// {"kind": "characters", "unknown": false, "characters": [10, 32, ...]}: code points, rising; a byte that is no UTF-8
// is the character 0x110000 + byte. With "unknown", id 0 is <unk> and the characters follow.
TokenizerPtr make_characters(std::vector<uint32_t> characters, bool unknown);
TokenizerPtr read_characters(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
