#include "lithe/spec/slots.h"

#include <algorithm>
#include <functional>
#include <map>

#include "lithe/base/error.h"

namespace lithe {
namespace {

using Type = LayoutNode::Type;

// Whether a repetition of the node has a place of its own: one that stands outside [ ].
bool has_own_place(const LayoutNode& node) {
    if (node.type == Type::shared_group) return false;
    return node.type == Type::slot || std::any_of(node.children.begin(), node.children.end(), has_own_place);
}

bool has_shared_group(const LayoutNode& node) {
    return node.type == Type::shared_group || std::any_of(node.children.begin(), node.children.end(), has_shared_group);
}

// Numbers the places as a stack is built.
class Walk {
 public:
    explicit Walk(std::function<void(const LayoutNode& slot, size_t index)> found) : found_(std::move(found)) {}

    size_t index_of(const LayoutNode& slot, bool shared) {
        if (auto again = shared_.find(&slot); shared && again != shared_.end()) return again->second;
        const size_t index = next_++;
        if (shared) shared_[&slot] = index;
        found_(slot, index);
        return index;
    }

    // What stands inside a node, once.
    void inside(const LayoutNode& node, bool shared) {
        for (const LayoutNode& child : node.children)
            for (int64_t i = 0; i < child.repeat; ++i) visit(child, shared);
    }

 private:
    void visit(const LayoutNode& node, bool shared) {
        if (node.type == Type::slot) index_of(node, shared);
        else if (node.type != Type::block) inside(node, shared || node.type == Type::shared_group);
    }
    std::function<void(const LayoutNode&, size_t)> found_;
    std::map<const LayoutNode*, size_t> shared_;
    size_t next_ = 0;
};

class Chooser {
 public:
    explicit Chooser(const std::vector<int64_t>& indices)
        : indices_(indices),
          walk_([](const LayoutNode&, size_t) {}) {}

    LayoutNode inside(const LayoutNode& node, bool shared) {
        LayoutNode out = node;
        out.children.clear();
        for (const LayoutNode& child : node.children) {
            // shared places are chosen once, so that their repetitions are alike
            const bool apart = !shared && has_own_place(child);
            for (int64_t i = 0; i < (apart ? child.repeat : 1); ++i) {
                LayoutNode made = one(child, shared || child.type == Type::shared_group);
                if (apart) made.repeat = 1;
                out.children.push_back(std::move(made));
            }
        }
        return out;
    }

 private:
    LayoutNode one(const LayoutNode& node, bool shared) {
        if (node.type == Type::block) return node;
        if (node.type != Type::slot) return inside(node, shared);
        const size_t place = walk_.index_of(node, shared);
        if (place >= indices_.size()) fail_usage("there are more searched places than choices", "layout");
        const int64_t index = indices_[place];
        if (index < 0 || size_t(index) >= node.children.size())
            fail_usage("place " + std::to_string(place + 1) + " has no candidate number " + std::to_string(index + 1),
                       "layout");
        LayoutNode block = node.children[size_t(index)];
        block.repeat = node.repeat;
        return block;
    }
    const std::vector<int64_t>& indices_;
    Walk walk_;
};

}  // namespace

LayoutNode with_candidates(LayoutNode layout, const std::string& candidates) {
    if (layout.type == Type::slot && layout.children.empty())
        layout.children = parse_layout("?{" + candidates + "}").children[0].children;
    if (layout.repeat > 1 && has_own_place(layout) && has_shared_group(layout))
        fail_usage("layout, column " + std::to_string(layout.column) +
                       ": the repetitions differ in their '?' and share the weights of [ ], which no layout can say",
                   "model.layout", "put the '?' into the [ ], or write the repetitions out");
    for (LayoutNode& child : layout.children) child = with_candidates(std::move(child), candidates);
    return layout;
}

std::vector<SlotPlace> slot_places(const LayoutNode& layout) {
    std::vector<SlotPlace> places;
    Walk walk([&](const LayoutNode& slot, size_t) {
        SlotPlace place{slot.column, {}};
        for (const LayoutNode& candidate : slot.children) place.candidates.push_back(candidate.name);
        places.push_back(std::move(place));
    });
    walk.inside(layout, layout.type == Type::shared_group);
    return places;
}

LayoutNode choose_layout(const LayoutNode& layout, const std::vector<int64_t>& indices) {
    return Chooser(indices).inside(layout, layout.type == Type::shared_group);
}

LayoutNode without_slots(LayoutNode layout) {
    if (layout.type == Type::slot) {
        layout.type = Type::block;
        layout.name = "-";
        layout.children.clear();
    }
    for (LayoutNode& child : layout.children) child = without_slots(std::move(child));
    return layout;
}

Config with_layout(Config config, const std::string& layout) {
    config.search = SearchConfig();
    config.model.layout = layout;
    std::erase_if(config.origins, [](const auto& origin) {
        return origin.first.rfind("search.", 0) == 0 || origin.first == "model.decoder.layout";
    });
    config.origins["model.layout"] = kSearchOrigin;
    return config;
}

}  // namespace lithe
