// What a Split or Replace of a tokenizer.json looks for: {"String": "..."} or {"Regex": "..."}.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "lithe/tokenize/regex.h"

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

class Pattern {
 public:
    virtual ~Pattern() = default;
    // Covers the text with matches and what lies between.
    virtual void spans(std::string_view text, std::vector<Span>& out) const = 0;
};

std::unique_ptr<Pattern> make_pattern(const Json& json, const std::string& source);

}  // namespace lithe::tokenize
