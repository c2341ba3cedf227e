// Normalizers of a tokenizer.json: what is done to text before it is split. One class per "type" of the file, made by
// one table; what is not in it is refused by name.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

class Normalizer {
 public:
    virtual ~Normalizer() = default;
    // The text may hold bad bytes (unicode.h); they pass through.
    virtual std::string apply(std::string_view text) const = 0;
};

// Null for JSON null. Throws bad_file naming the type that is not supported.
std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
