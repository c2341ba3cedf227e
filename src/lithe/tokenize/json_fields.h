// Typed look-ups in a parsed tokenizer.json, with errors that name the file and the key. Whole numbers must be ones
// that their type holds.
#pragma once

#include <concepts>
#include <nlohmann/json.hpp>
#include <string>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"

namespace lithe::tokenize {

using Json = nlohmann::ordered_json;

inline const Json& need(const Json& json, const char* key, const std::string& source) {
    if (!json.is_object() || !json.contains(key)) fail_file(std::string("the key \"") + key + "\" is missing", source);
    return json[key];
}

// The parts of a sequence: the list of `key`, which must be there, each an object.
inline const Json& need_parts(const Json& json, const char* key, const std::string& source) {
    const Json& list = need(json, key, source);
    if (!list.is_array()) fail_file(std::string("the value of \"") + key + "\" is no list", source);
    for (size_t i = 0; i < list.size(); ++i)
        if (!list[i].is_object()) fail_file("entry " + std::to_string(i) + " of \"" + key + "\" is no object", source);
    return list;
}

// The value of `key`, which must be there and hold a T.
template <class T> T need_value(const Json& json, const char* key, const std::string& source) {
    const Json& value = need(json, key, source);
    try {
        if constexpr (std::integral<T> && !std::same_as<T, bool>) return T(whole(value));
        else return value.get<T>();
    } catch (const nlohmann::json::exception&) {
        fail_file(
            std::string("the value of \"") + key + "\" has the wrong type: " + printable(value.dump().substr(0, 80)),
            source);
    }
}

// The value of `key`; `otherwise` where it is missing or null.
template <class T> T field(const Json& json, const char* key, T otherwise, const std::string& source) {
    if (!json.is_object() || !json.contains(key) || json[key].is_null()) return otherwise;
    return need_value<T>(json, key, source);
}

inline std::string type_of(const Json& json, const std::string& what, const std::string& source) {
    if (!json.is_object() || !json.contains("type") || !json["type"].is_string())
        fail_file("a " + what + " without a \"type\"", source);
    return json["type"].get<std::string>();
}

[[noreturn]] inline void unsupported(const std::string& what, const std::string& type, const std::string& source) {
    fail_file("the " + what + " \"" + printable(type) + "\" is not supported", source,
              "supported parts are listed in docs/tokenizers.md; a tokenizer can be trained with: lithe data "
              "train-tokenizer");
}

}  // namespace lithe::tokenize
