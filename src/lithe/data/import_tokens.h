// Makes a token set of other programs' token files (formats/foreign_tokens.h).
#pragma once

#include <array>
#include <stop_token>
#include <string>

#include "lithe/formats/token_set.h"
#include "lithe/tokenize/tokenizer.h"

namespace lithe {

struct ImportOptions {
    std::array<std::string, 3> files;  // train, valid, test; empty: none
    std::string kind = "auto";         // as ForeignTokens
    uint64_t round_tokens = uint64_t(64) << 20;
    bool progress = false;
    std::stop_token stop = {};
};

// The tokenizer must be the one that made the ids: every id is decoded, for the byte counts, and ids outside its
// vocabulary are refused with their place. Documents are those of the file, or end with the tokenizer's end token.
TokenSetInfo import_tokens(const ImportOptions& options, const TokenizerPtr& tokenizer, const std::string& output);

}  // namespace lithe
