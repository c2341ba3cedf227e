// SentencePiece's precompiled character map (a double-array trie and the strings it leads to), as it stands in
// tokenizer.json files. Applied as the `tokenizers` library does: whole grapheme clusters of fewer than 6 bytes first,
// then each code point; the shortest entry wins.
#pragma once

#include <memory>
#include <string>

#include "lithe/tokenize/normalizer.h"

namespace lithe::tokenize {

// `base64` as in the file. Throws bad_file for damaged maps.
std::unique_ptr<Normalizer> make_charsmap(const std::string& base64, const std::string& source);

}  // namespace lithe::tokenize
