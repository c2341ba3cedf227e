// Where a block stands, by its parameters' prefix ("decoder.layers.3.hgrn2"): for kinds that are different with depth.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace lithe {

// Layer 0 outside a stack.
struct StandsAt {
    std::string stack;
    int64_t layer = 0;
    explicit StandsAt(const std::string& name) {
        constexpr std::string_view kLayers = ".layers.";
        const size_t at = name.find(kLayers);
        if (at == std::string::npos) return;
        stack = name.substr(0, at);
        std::from_chars(name.data() + at + kLayers.size(), name.data() + name.size(), layer);
    }
};

}  // namespace lithe
