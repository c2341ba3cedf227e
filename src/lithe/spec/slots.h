// The searched places ('?') of a layout: which there are, and the layout that a choice makes of it. A place inside a
// repeated group is one place per repetition; inside [ ], whose weights are shared, it is one place in all.
#pragma once

#include "lithe/spec/config.h"
#include "lithe/spec/layout.h"

namespace lithe {

// Gives each bare '?' these candidates ("s f -"). Throws usage for fewer than two or unknown syntax, and where the
// result of a search could not be written as a layout.
LayoutNode with_candidates(LayoutNode layout, const std::string& candidates);

struct SlotPlace {
    int column = 0;
    std::vector<std::string> candidates;
};
// In the order in which a stack is built.
std::vector<SlotPlace> slot_places(const LayoutNode& layout);

// The layout with candidate indices[i] at place i; groups that hold places are written out.
LayoutNode choose_layout(const LayoutNode& layout, const std::vector<int64_t>& indices);

// The layout with the identity at every place.
LayoutNode without_slots(LayoutNode layout);

// Where settings come from that a search makes.
constexpr const char* kSearchOrigin = "the search";

// The configuration with this layout, whose origin is the search, and nothing to search.
Config with_layout(Config config, const std::string& layout);

}  // namespace lithe
