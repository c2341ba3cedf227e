// From a layout to a stack of units.
#pragma once

#include <functional>
#include <map>

#include "lithe/model/layer_drop.h"
#include "lithe/model/slot.h"
#include "lithe/spec/config.h"
#include "lithe/spec/layout.h"
#include "lithe/spec/slots.h"

namespace lithe {

// What a name in a layout means: a kind with its options.
struct ResolvedBlock {
    const BlockKind* kind = nullptr;
    std::shared_ptr<const BlockOptions> options;
};

// Every name of the layout; unknown names, unknown options and contradictions become problems with the column.
std::map<std::string, ResolvedBlock> resolve_blocks(const LayoutNode& layout, const ModelConfig& model,
                                                    const std::map<std::string, BlockDefinition>& definitions,
                                                    Problems& problems);

// One block application, in order, for `info`.
struct AppliedBlock {
    std::string label;
    std::string path;  // of its parameters: "decoder.layers.3.attention"
    std::shared_ptr<const Shell::Parts> parts;
    bool shared = false;  // an application of weights that stand earlier in the list
};

struct Stack {
    std::unique_ptr<Sequence> root;  // of layers
    std::vector<AppliedBlock> blocks;
    std::vector<DroppableLayer*> layers;  // what stands at the top of the layout, when layers may be dropped
    std::vector<SlotPlace> slots;         // searched places
};

struct StackOptions {
    bool droppable = false;       // puts a DroppableLayer around each layer
    bool tie_candidates = false;  // a candidate has the same weights in every searched place
};

// `wrap` may put a wrapper around a group of the layout (called once per repetition, innermost first).
using GroupWrapper = std::function<std::unique_ptr<Unit>(std::unique_ptr<Unit> group)>;

// Parameters are added to `store` under "NAME.layers.N.KIND": N numbers what stands at the top of the layout, each
// repetition for itself (as layer dropping numbers layers), and the second block of a kind in a layer is called KIND_2.
// A shared group's weights have the names of its first place. Searched places must have their candidates
// (spec/slots.h).
Stack build_stack(const LayoutNode& layout, const std::map<std::string, ResolvedBlock>& blocks,
                  const ModelConfig& model, ParameterStore& store, const std::string& name,
                  const GroupWrapper& wrap = {}, const StackOptions& options = {});

}  // namespace lithe
