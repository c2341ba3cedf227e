// A JSON text with one value replaced by one that does not belong there: what reads it may refuse it with a
// lithe::Error and must throw nothing else.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "lithe/base/error.h"

namespace lithe::testing {

namespace wrong {

using Json = nlohmann::ordered_json;

// Every value of `json`, with its place.
inline void each_place(const Json& json, const Json::json_pointer& at, const auto& visit) {
    visit(at);
    if (json.is_object())
        for (const auto& [key, value] : json.items()) each_place(value, at / key, visit);
    if (json.is_array())
        for (size_t i = 0; i < json.size(); ++i) each_place(json[i], at / i, visit);
}

}  // namespace wrong

// Calls `read` with each such text. Counts them.
inline int with_each_wrong_value(const std::string& text, const auto& read) {
    using wrong::Json;
    static const Json kValues = Json::parse(
        R"([null, true, -1, 7, 1.5, 1e300, 9223372036854775808, 4294967296, "", "x", "\u2581", [], [[]], {}, {"a": 1}])");
    const Json right = Json::parse(text);
    int tried = 0;
    wrong::each_place(right, Json::json_pointer(), [&](const Json::json_pointer& at) {
        const auto attempt = [&](const Json& changed, const std::string& change) {
            ++tried;
            try {
                read(changed.dump());
            } catch (const Error&) {
            } catch (const std::exception& error) {
                ADD_FAILURE() << "at " << at.to_string() << ", " << change << ": " << error.what();
            }
        };
        for (const Json& value : kValues) {
            Json changed = right;
            changed[at] = value;
            attempt(changed, value.dump());
        }
        if (at.empty() || !right[at.parent_pointer()].is_object()) return;
        Json changed = right;
        changed[at.parent_pointer()].erase(at.back());
        attempt(changed, "left out");
    });
    return tried;
}

}  // namespace lithe::testing
