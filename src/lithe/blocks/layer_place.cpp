#include "lithe/blocks/layer_place.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "lithe/spec/layout.h"

namespace lithe {
namespace {

constexpr std::string_view kLayers = ".layers.";

// The number behind "STACK.layers." and what follows it; -1 where there is none.
std::pair<int64_t, std::string> layer_in(const std::string& name, const std::string& stack) {
    const std::string path = stack + std::string(kLayers);
    const size_t at = name.find(path);
    if (at == std::string::npos) return {-1, ""};
    int64_t number = -1;
    const auto parsed = std::from_chars(name.data() + at + path.size(), name.data() + name.size(), number);
    return {number, std::string(parsed.ptr)};
}

// ".KIND.x", or ".KIND_2.x" of a layer's second block of the kind.
bool is_of_kind(const std::string& path, const std::string& kind) {
    if (path.starts_with("." + kind + ".")) return true;
    const std::string numbered = "." + kind + "_";
    return path.starts_with(numbered) && path.size() > numbered.size() &&
           std::isdigit(static_cast<unsigned char>(path[numbered.size()]));
}

}  // namespace

LayerPlace::LayerPlace(const BlockSite& site, const char* kind) {
    if (const size_t at = site.name.find(kLayers); at != std::string::npos) {
        stack = site.name.substr(0, at);
        layer = std::max<int64_t>(0, layer_in(site.name, stack).first);
    }
    int64_t count = 0;
    for (const LayoutNode& node : parse_layout(site.model.layout).children) count += node.repeat;
    layers = std::max(layer + 1, count);
    for (size_t i = 0; !stack.empty() && i < site.store.size(); ++i) {
        const auto [number, rest] = layer_in(site.store.spec(i).name, stack);
        after_another = after_another || (number >= 0 && number < layer && is_of_kind(rest, kind));
    }
}

}  // namespace lithe
