#include "lithe/spec/toml_text.h"

#include <cstdio>
#include <sstream>
#include <vector>

#include "lithe/base/text.h"

namespace lithe {

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out += std::string{'\\', c};
        else if (byte < 0x20 || byte == 0x7F) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04X", unsigned(byte));
            out += escape;
        } else out += c;
    }
    return out + "\"";
}

std::string node_text(const toml::node& node) {
    if (const auto* list = node.as_array()) {
        std::vector<std::string> parts;
        for (const toml::node& each : *list) parts.push_back(node_text(each));
        return "[" + join(parts, ", ") + "]";
    }
    if (const auto* table = node.as_table()) {
        std::vector<std::string> parts;
        for (const auto& [key, value] : *table) parts.push_back(toml_text(key.str()) + " = " + node_text(value));
        return "{" + join(parts, ", ") + "}";
    }
    if (auto text = node.value_exact<std::string>()) return toml_text(*text);
    std::ostringstream out;
    node.visit([&](const auto& value) {
        if constexpr (!toml::is_table<decltype(value)> && !toml::is_array<decltype(value)>) out << value;
    });
    return out.str();
}

}  // namespace lithe
