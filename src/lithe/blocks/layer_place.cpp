#include "lithe/blocks/layer_place.h"

#include <charconv>

#include "lithe/spec/layout.h"

namespace lithe {

LayerPlace::LayerPlace(const BlockSite& site, const char* name) {
    constexpr std::string_view kLayers = ".layers.";
    if (const size_t at = site.name.find(kLayers); at != std::string::npos) {
        stack = site.name.substr(0, at);
        std::from_chars(site.name.data() + at + kLayers.size(), site.name.data() + site.name.size(), layer);
    }
    int64_t count = 0;
    for (const LayoutNode& node : parse_layout(site.model.layout).children) {
        LayoutNode alone;
        alone.children = {node};
        const auto names = block_names(alone);
        const bool has = std::any_of(names.begin(), names.end(), [&](const auto& each) { return each.first == name; });
        after_another = after_another || (has && count < layer);
        count += node.repeat;
    }
    layers = std::max(layer + 1, count);
}

}  // namespace lithe
