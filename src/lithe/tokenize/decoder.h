// Decoders of a tokenizer.json: tokens, as they stand in the vocabulary, back to text. One class per "type" of the
// file, made by one table; what is not in it is refused by name.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

class Decoder {
 public:
    virtual ~Decoder() = default;
    // The tokens after this step; the text is all of them in a row. Bytes that are no UTF-8 stay bytes.
    virtual std::vector<std::string> apply(std::vector<std::string> tokens) const = 0;
};

// JSON null: tokens are joined with spaces. Throws bad_file naming the type that is not supported.
std::unique_ptr<Decoder> make_decoder(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
