#include "lithe/model/stack.h"

#include <algorithm>
#include <set>

#include "lithe/base/text.h"
#include "lithe/blocks/options.h"
#include "lithe/model/coordinates.h"
#include "lithe/model/exits.h"
#include "lithe/model/halting.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

constexpr const char* kHalting = "halting";  // what [blocks.x] calls halting runs

std::vector<std::string> known_names(const std::map<std::string, BlockDefinition>& definitions) {
    std::vector<std::string> names;
    for (const BlockKind& kind : block_kinds()) {
        names.push_back(kind.name);
        if (kind.letter) names.push_back(std::string(1, kind.letter));
    }
    for (const auto& [name, definition] : definitions) names.push_back(name);
    return names;
}

class Builder {
 public:
    Builder(const std::map<std::string, ResolvedBlock>& blocks, const ModelConfig& model, ParameterStore& store,
            std::string name, const GroupWrapper& wrap, const StackOptions& options)
        : blocks_(blocks),
          model_(model),
          store_(store),
          name_(std::move(name)),
          wrap_(wrap),
          layer_drop_(options.layer_drop),
          recomputable_(options.recomputable),
          tie_candidates_(options.tie_candidates),
          given_(options.given),
          source_width_(options.source_width),
          exits_(options.exits) {}

    Stack build(const LayoutNode& layout) {
        Stack stack;
        stack.root = top(layout, stack);
        for (Shell* shell : shells_) shell->set_occurrences(int(shells_.size()));
        stack.blocks = std::move(applied_);
        stack.slots = slot_places(layout);
        Problems problems;
        check_bag_uses(*stack.root, given_, problems);
        problems.throw_if_any("model");
        const auto outside_training = inference_layers(layer_drop_, int64_t(stack.layers.size()));
        for (size_t i = 0; outside_training && i < stack.layers.size(); ++i)
            stack.layers[i]->step_scale = outside_training->layers[i].scale;
        if (!stack.layers.empty())
            stack.prepare.push_back([config = layer_drop_, layers = int64_t(stack.layers.size())](Pass& pass) {
                add_layer_draws(config, layers, pass);
            });
        return stack;
    }

 private:
    // Weights of a shared group by lexical occurrence; null outside shared groups.
    using Shared = std::map<const LayoutNode*, std::shared_ptr<const Shell::Parts>>;

    // The layers; `stack` learns which can be dropped, and which are reversible runs.
    std::unique_ptr<LayerSequence> top(const LayoutNode& layout, Stack& stack) {
        std::vector<std::unique_ptr<Unit>> units;
        for (const LayoutNode& child : layout.children) {
            unit_ = units.size();
            if (child.reversible) {
                auto run = reversible(child, nullptr, [&] {
                    begin_layer();
                    return drop_place(stack);
                });
                stack.reversible[unit_] = run.get();
                units.push_back(std::move(run));
                continue;
            }
            if (child.halting) {
                begin_layer();
                units.push_back(finished(halting(child, nullptr, true), stack));
                continue;
            }
            for (int64_t i = 0; i < child.repeat; ++i) {
                unit_ = units.size();
                begin_layer();
                units.push_back(finished(with_coordinates(unit(child, nullptr)), stack));
            }
        }
        return std::make_unique<LayerSequence>(std::move(units));
    }

    // What may be left out, or left behind it.
    std::unique_ptr<Unit> finished(std::unique_ptr<Unit> layer, Stack& stack) const {
        if (auto place = drop_place(stack))
            layer = std::make_unique<DroppableLayer>(std::move(layer), std::move(place));
        if (exits_) layer = std::make_unique<ExitLayer>(std::move(layer), unit_);
        return layer;
    }

    // Of a layer, or a step of a halting run that is one.
    std::unique_ptr<Unit> with_coordinates(std::unique_ptr<Unit> layer) {
        if (model_.positions != Positions::coordinates) return layer;
        return std::make_unique<CoordinateLayer>(std::move(layer), ++coordinate_);
    }

    void begin_layer() {
        layer_ = next_layer_++;
        in_layer_.clear();
    }

    // Null where layers are not dropped.
    std::shared_ptr<DropPlace> drop_place(Stack& stack) const {
        if (layer_drop_.method == LayerDropMethod::none) return nullptr;
        return stack.layers.emplace_back(std::make_shared<DropPlace>(DropPlace{.index = stack.layers.size()}));
    }

    // A group with all of its repetitions; `begin` is called before each, and says where it stands among layers that
    // may be dropped.
    std::unique_ptr<ReversibleRun> reversible(const LayoutNode& node, Shared* shared,
                                              const std::function<std::shared_ptr<DropPlace>()>& begin) {
        std::vector<ReversibleRun::Layer> layers(static_cast<size_t>(node.repeat));
        for (ReversibleRun::Layer& layer : layers) {
            layer.drop = begin();
            collect(node, node.type == LayoutNode::Type::shared_group ? &shared_ : shared, layer.blocks);
        }
        return std::make_unique<ReversibleRun>(std::move(layers));
    }

    // A group's repetitions as steps; `is_layer`: it stands at the top.
    std::unique_ptr<Unit> halting(const LayoutNode& node, Shared* shared, bool is_layer) {
        const auto& values = values_of<HaltingValues>(*blocks_.at(kHalting).options);
        const std::string here = path_here(kHalting);
        Shared* weights = node.type == LayoutNode::Type::shared_group ? &shared_ : shared;
        const bool again = weights && halting_.count(&node);
        const HaltingUnit unit_of = again ? halting_.at(&node) : HaltingUnit(store_, here, model_.width, values);
        if (weights) halting_[&node] = unit_of;
        std::vector<std::unique_ptr<Unit>> steps;
        for (int64_t i = 0; i < node.repeat; ++i) {
            steps.push_back(unit(node, shared));
            if (is_layer) steps.back() = with_coordinates(std::move(steps.back()));
        }
        return std::make_unique<HaltingRun>(std::move(steps), unit_of, values);
    }

    // The blocks of a group, in order.
    void collect(const LayoutNode& group, Shared* shared, std::vector<std::unique_ptr<Shell>>& blocks) {
        for (const LayoutNode& child : group.children)
            for (int64_t i = 0; i < child.repeat; ++i) {
                if (child.type == LayoutNode::Type::block) {
                    blocks.push_back(shell(child, shared));
                    applied_.back().reversible = true;
                } else {
                    collect(child, child.type == LayoutNode::Type::shared_group ? &shared_ : shared, blocks);
                }
            }
    }

    std::unique_ptr<Sequence> sequence(const LayoutNode& node, Shared* shared) {
        std::vector<std::unique_ptr<Unit>> units;
        for (const LayoutNode& child : node.children) {
            if (child.reversible) units.push_back(reversible(child, shared, [] { return nullptr; }));
            else if (child.halting) units.push_back(halting(child, shared, false));
            else
                for (int64_t i = 0; i < child.repeat; ++i) units.push_back(unit(child, shared));
        }
        return std::make_unique<Sequence>(std::move(units));
    }

    std::unique_ptr<Unit> unit(const LayoutNode& node, Shared* shared) {
        switch (node.type) {
            case LayoutNode::Type::block: return block(shell(node, shared));
            case LayoutNode::Type::slot: return slot(node, shared);
            default: {
                std::unique_ptr<Unit> group =
                    sequence(node, node.type == LayoutNode::Type::shared_group ? &shared_ : shared);
                return wrap_ ? wrap_(std::move(group)) : std::move(group);
            }
        }
    }

    std::unique_ptr<Unit> block(std::unique_ptr<Unit> shell) {
        if (recomputable_) {
            auto block = std::make_unique<RecomputableBlock>(std::move(shell));
            applied_.back().recomputable = block.get();
            shell = std::move(block);
        }
        return exits_ ? std::make_unique<HoldingBlock>(std::move(shell), model_.width) : std::move(shell);
    }

    // Each application has weights of its own but in shared groups, where place and weights are the same, and with tied
    // candidates.
    std::unique_ptr<Unit> slot(const LayoutNode& node, Shared* shared) {
        if (node.children.empty())
            fail_usage("layout, column " + std::to_string(node.column) + ": '?' has no candidates", "model.layout");
        // numbered as slot_places() numbers them
        const size_t index = shared && shared_slots_.count(&node) ? shared_slots_[&node] : next_slot_++;
        if (shared) shared_slots_[&node] = index;
        std::vector<std::unique_ptr<Shell>> candidates;
        for (const LayoutNode& candidate : node.children)
            candidates.push_back(shell(candidate, shared, tie_candidates_ ? &tied_[candidate.name] : nullptr));
        return std::make_unique<Slot>(std::move(candidates), index);
    }

    // `tied`: where the weights stand, or are to be put, that all candidates of the name share.
    std::unique_ptr<Shell> shell(const LayoutNode& node, Shared* shared,
                                 std::shared_ptr<const Shell::Parts>* tied = nullptr) {
        std::shared_ptr<const Shell::Parts> parts = shared && shared->count(&node) ? shared->at(&node) : nullptr;
        if (!parts && tied) parts = *tied;
        const bool again = parts != nullptr;
        const std::string here = path_here(blocks_.at(node.name).kind->name);
        if (!parts) {
            parts = make_parts(node, here);
            paths_[parts.get()] = here;
        }
        if (shared) (*shared)[&node] = parts;
        if (tied) *tied = parts;
        applied_.push_back({.label = node.name,
                            .path = paths_.at(parts.get()),
                            .place = here,
                            .parts = parts,
                            .shared = again,
                            .layer = unit_});
        auto result = std::make_unique<Shell>(parts, here, int(shells_.size()));
        shells_.push_back(result.get());
        return result;
    }

    // Of the next block of this kind in the layer, whose weights may stand elsewhere: a block's name depends on its
    // place alone.
    std::string path_here(const std::string& kind) {
        const int number = ++in_layer_[kind];
        const std::string path = name_ + ".layers." + std::to_string(layer_) + "." + kind;
        return number == 1 ? path : path + "_" + std::to_string(number);
    }

    std::shared_ptr<const Shell::Parts> make_parts(const LayoutNode& node, const std::string& name) {
        const ResolvedBlock& block = blocks_.at(node.name);
        auto parts = std::make_shared<Shell::Parts>();
        parts->kind = block.kind;
        parts->label = node.name;
        parts->dropout = model_.dropout;
        parts->width = model_.width;
        parts->first_parameter = store_.size();
        if (!block.kind->traits.own_residual && model_.norm != NormPlace::none) {
            parts->norm = make_norm(store_, name + ".shell_norm", model_);
            parts->post = model_.norm == NormPlace::post;
        }
        parts->block = block.kind->make(*block.options, {store_, name, model_, source_width_});
        if (model_.adapter_width > 0)
            parts->adapter = Adapter(store_, "adapters." + name, model_.width, model_.adapter_width);
        parts->end_parameter = store_.size();
        return parts;
    }

    const std::map<std::string, ResolvedBlock>& blocks_;
    const ModelConfig& model_;
    ParameterStore& store_;
    std::string name_;
    const GroupWrapper& wrap_;
    LayerDropConfig layer_drop_;
    bool recomputable_;
    bool tie_candidates_;
    std::vector<BagKey> given_;
    int64_t source_width_;
    bool exits_;
    Shared shared_;
    std::map<const LayoutNode*, HaltingUnit> halting_;  // of halting runs in shared groups
    std::map<const LayoutNode*, size_t> shared_slots_;
    std::map<std::string, std::shared_ptr<const Shell::Parts>> tied_;
    size_t next_slot_ = 0;
    std::vector<Shell*> shells_;
    std::vector<AppliedBlock> applied_;
    std::map<const Shell::Parts*, std::string> paths_;
    size_t unit_ = 0;   // of the root
    size_t layer_ = 0;  // as parameters are named
    size_t next_layer_ = 0;
    int64_t coordinate_ = 0;               // of the layer, or step, before the next one
    std::map<std::string, int> in_layer_;  // blocks of each kind
};

}  // namespace

void check_bag_uses(const Unit& root, std::vector<BagKey> given, Problems& problems) {
    BagTrace trace{.written = std::move(given)};
    root.trace_bag(trace);
    std::set<std::string> told;  // of repeated layers
    for (const auto& [label, key] : trace.missing) {
        if (!told.insert(label).second) continue;
        const bool source = key == kSource || key == kSourcePadding;
        problems.add("block '" + label + "' reads " + key.name + ", and no block before it writes that", "model.layout",
                     source ? "[model.encoder] makes a second stack whose output it reads"
                            : "what a layer writes that may be dropped, or one of several candidates, does not count");
    }
}

// Their blocks need a bare branch.
static void check_reversible(const LayoutNode& node, const std::map<std::string, ResolvedBlock>& resolved,
                             const ModelConfig& model, const std::string& section, Problems& problems) {
    for (const LayoutNode& child : node.children) check_reversible(child, resolved, model, section, problems);
    if (!node.reversible) return;
    for (const auto& [name, column] : block_names(node))
        if (const auto found = resolved.find(name); found != resolved.end() && found->second.kind->traits.own_residual)
            problems.add("layout, column " + std::to_string(column) + ": block '" + name +
                             "' has a skip of its own, and a reversible run ('~') adds branches to two streams",
                         section + ".layout", "kinds with a bare branch can stand there, as s and f: ~(sf)x12");
    if (model.positions == Positions::coordinates)
        problems.add("coordinates are added before a layer, and a reversible run ('~') is none",
                     section + ".positions");
    if (model.norm == NormPlace::post)
        problems.add("a reversible run ('~') needs the norm before the block: " + section + ".norm = \"pre\"",
                     section + ".norm");
}

// The settings of halting runs stand among those of blocks.
static void resolve_halting(const LayoutNode& layout, const ModelConfig& model,
                            const std::map<std::string, BlockDefinition>& definitions,
                            std::map<std::string, ResolvedBlock>& resolved, Problems& problems) {
    for (const auto& [name, column] : block_names(layout))
        if (name == kHalting)
            return problems.add(
                "layout, column " + std::to_string(column) + ": halting is what '@' before a group means, and no block",
                "blocks.halting", "give the block another name");
    const auto definition = definitions.find(kHalting);
    if (definition == definitions.end() && !has_halting(layout)) return;
    const auto options = std::make_shared<OptionsOf<HaltingValues>>(model);
    if (definition != definitions.end()) {
        if (!definition->second.kind.empty())
            problems.add("halting is what '@' before a group means, and no block of kind '" +
                             printable(definition->second.kind) + "'",
                         "blocks.halting.kind", "give the block another name");
        read_options(
            definition->second.options, [&](FieldVisitor& v) { options->visit(v); }, "blocks.halting", problems);
    }
    resolved[kHalting].options = options;
}

std::map<std::string, ResolvedBlock> resolve_blocks(const LayoutNode& layout, const ModelConfig& model,
                                                    const std::map<std::string, BlockDefinition>& definitions,
                                                    Problems& problems, const std::string& section) {
    std::map<std::string, ResolvedBlock> resolved;
    auto resolve = [&](const std::string& name,
                       int column) -> const BlockKind* {  // column 0: a definition that the layout does not use
        auto definition = definitions.find(name);
        std::string kind_name =
            definition != definitions.end() && !definition->second.kind.empty() ? definition->second.kind : name;
        const BlockKind* kind = find_block_kind(kind_name);
        if (!kind && kind_name == name && column > 0)
            problems.add("layout, column " + std::to_string(column) + ": unknown block '" + name + "'" +
                             did_you_mean(name, known_names(definitions)),
                         section + ".layout", "lithe info lists all kinds; [blocks." + name + "] defines one");
        else if (!kind)
            problems.add("blocks." + printable(name) + ".kind: unknown kind '" + printable(kind_name) + "'" +
                             did_you_mean(kind_name, known_names({})),
                         "blocks." + printable(name));
        if (!kind) return nullptr;
        auto options = kind->make_options(model);
        if (definition != definitions.end())
            read_options(
                definition->second.options, [&](FieldVisitor& v) { options->visit(v); }, "blocks." + name, problems);
        const std::string where = section == "model" ? "blocks." + name : section + ", blocks." + name;
        if (column > 0) options->check(model, where, problems);
        resolved[name] = {kind, std::move(options)};
        return kind;
    };
    for (const auto& [name, column] : block_names(layout)) {
        const BlockKind* kind = resolve(name, column);
        if (kind && model.direction == Direction::bidirectional && !kind->traits.bidirectional)
            problems.add("layout, column " + std::to_string(column) + ": block '" + name + "' (" + kind->name +
                             ") only runs forward in time, and " + section + ".direction is \"bidirectional\"",
                         section + ".layout");
        const bool may_stand_there = kind && (kind->traits.causal || kind->traits.may_leak);
        if (kind && model.direction == Direction::causal && !may_stand_there)
            problems.add("layout, column " + std::to_string(column) + ": block '" + name + "' (" + kind->name +
                             ") sees its whole segment, and " + section + ".direction is \"causal\"",
                         section + ".layout", "it stands in encoders");
    }
    resolve_halting(layout, model, definitions, resolved, problems);
    for (const auto& [name, definition] : definitions)
        if (!resolved.count(name)) resolve(name, 0);
    check_reversible(layout, resolved, model, section, problems);
    return resolved;
}

StackNorm make_norm(ParameterStore& store, const std::string& name, const ModelConfig& model) {
    if (model.norm_form == NormForm::rms) return StackNorm(RmsNorm(store, name, model.width, model.norm_epsilon));
    return StackNorm(LayerNorm(store, name, model.width, model.norm_epsilon));
}

Stack build_stack(const LayoutNode& layout, const std::map<std::string, ResolvedBlock>& blocks,
                  const ModelConfig& model, ParameterStore& store, const std::string& name, const GroupWrapper& wrap,
                  const StackOptions& options) {
    return Builder(blocks, model, store, name, wrap, options).build(layout);
}

}  // namespace lithe
