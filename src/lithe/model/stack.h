// From a layout to a stack of units.
#pragma once

#include <functional>
#include <map>

#include "lithe/model/layer_drop.h"
#include "lithe/model/recompute.h"
#include "lithe/model/reversible.h"
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

// Every name of the layout; unknown names, unknown options and contradictions become problems with the column. Halting
// runs stand there as "halting", with options and without a kind.
// `section`: where the stack is configured.
std::map<std::string, ResolvedBlock> resolve_blocks(const LayoutNode& layout, const ModelConfig& model,
                                                    const std::map<std::string, BlockDefinition>& definitions,
                                                    Problems& problems, const std::string& section = "model");

// One block application, in order, for `info`.
struct AppliedBlock {
    std::string label;
    std::string path;   // of its parameters: "decoder.layers.3.attention"
    std::string place;  // of the application: another one where weights are shared
    std::shared_ptr<const Shell::Parts> parts;
    bool shared = false;                        // an application of weights that stand earlier in the list
    size_t layer = 0;                           // of the root's units, that it is part of
    bool reversible = false;                    // in a reversible run
    RecomputableBlock* recomputable = nullptr;  // around it, where StackOptions ask for it
};

struct Stack {
    std::unique_ptr<LayerSequence> root;
    std::vector<AppliedBlock> blocks;
    // What stands at the top of the layout, each layer of a reversible run for itself, when layers may be dropped.
    std::vector<std::shared_ptr<DropPlace>> layers;
    std::map<size_t, ReversibleRun*> reversible;  // those of the root's units that are such runs
    std::vector<SlotPlace> slots;                 // searched places
    // What its units draw or set for a pass before they run.
    std::vector<std::function<void(Pass&)>> prepare;
};

struct StackOptions {
    LayerDropConfig layer_drop;   // with a method: a place in its draws for each layer
    bool recomputable = false;    // blocks can be recomputed each for itself, but for candidates
    bool tie_candidates = false;  // a candidate has the same weights in every searched place
    std::vector<BagKey> given;    // what stands in the bag before the first unit
    int64_t source_width = 0;     // of the encoder's output, if that is given
    bool exits = false;           // positions may leave between layers (model/exits.h)
};

// A block that reads from the bag what neither is given nor written before it becomes a problem.
void check_bag_uses(const Unit& root, std::vector<BagKey> given, Problems& problems);

// `wrap` may put a wrapper around a group of the layout (called once per repetition, innermost first).
// A norm of the form that the model has.
StackNorm make_norm(ParameterStore& store, const std::string& name, const ModelConfig& model);

using GroupWrapper = std::function<std::unique_ptr<Unit>(std::unique_ptr<Unit> group)>;

// Parameters are added to `store` under "NAME.layers.N.KIND": N numbers what stands at the top of the layout, each
// repetition for itself, those of reversible runs, too (as layer dropping numbers layers), a halting run as one; the
// second block of a kind in a layer is called KIND_2. A shared group's weights have the names of its first place.
// Searched places must have their candidates (spec/slots.h). Throws a usage error for blocks that read what nobody
// writes.
Stack build_stack(const LayoutNode& layout, const std::map<std::string, ResolvedBlock>& blocks,
                  const ModelConfig& model, ParameterStore& store, const std::string& name,
                  const GroupWrapper& wrap = {}, const StackOptions& options = {});

}  // namespace lithe
