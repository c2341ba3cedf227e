#include "lithe/model/token_stack.h"

#include "lithe/ops/dropout.h"

namespace lithe {

TokenStack::TokenStack(ParameterStore& store, const ModelConfig& model, const LayoutNode& layout,
                       const std::map<std::string, ResolvedBlock>& blocks, const Shape& shape)
    : config_(model),
      name_(shape.name),
      given_(shape.options.given),
      embedding_(store, shape.embedding_name, model, shape.embedding),
      stack_(build_stack(layout, blocks, model, store, shape.name, {}, shape.options)) {
    if (!stack_.slots.empty()) standing_.put(choose_slots(std::vector<int64_t>(stack_.slots.size(), 0)));
    if (model.final_norm) final_norm_ = make_norm(store, shape.name + ".norm", model);
}

TokenStack::Output TokenStack::forward(const Tensor& ids_TB, const Bag& bag, const State& state,
                                       const Pass& pass) const {
    State of_embedding;
    const Tensor x_TBD = embedding_(ids_TB, state, pass, of_embedding);
    UnitOutput out = stack_.root->forward({x_TBD, bag}, state, pass);
    Output result{{}, std::move(out.state), std::move(out.aux), out.flow.x_TBD, std::move(out.flow.bag)};
    for (StateTensor& each : of_embedding.tensors) result.state.tensors.push_back(std::move(each));
    result.h_TBD = read_out(result.x_TBD, final_norm_, pass);
    return result;
}

Tensor TokenStack::read_out(const Tensor& x_TBD, const StackNorm& norm, const Pass& pass) const {
    const Tensor h_TBD = norm ? norm(x_TBD) : x_TBD;
    return pass.training ? ops::dropout(h_TBD, config_.dropout, shared_site(pass, "head"), 1) : h_TBD;
}

Pass TokenStack::pass(bool training, DrawKeys keys) const {
    Pass pass;
    pass.training = training;
    pass.causal = config_.direction == Direction::causal;
    pass.memory = config_.memory;
    pass.keep_projections = config_.memory_form == MemoryForm::projections;
    pass.keys = std::move(keys);
    pass.keys.rows = combine_key(pass.keys.rows, name_);  // two stacks draw apart
    pass.entries = standing_;
    for (const auto& prepare : stack_.prepare) prepare(pass);
    return pass;
}

void TokenStack::set_recompute(const Recompute& recompute, const StackLoad& load) {
    const bool by_block = recompute.method == RecomputeMethod::selective;
    stack_.root->set_recompute(by_block ? Recompute() : recompute);
    const std::vector<bool> selected = selected_blocks(load);
    for (size_t i = 0; i < selected.size(); ++i)
        if (RecomputableBlock* block = stack_.blocks[i].recomputable) block->set_recomputed(by_block && selected[i]);
}

void TokenStack::keep_layers(const std::string& text) {
    struct Which {
        size_t unit, inside;  // of the root; of a reversible run
    };
    std::vector<Which> layers;
    for (size_t unit = 0; unit < stack_.root->size(); ++unit) {
        const auto run = stack_.reversible.find(unit);
        const size_t count = run != stack_.reversible.end() ? run->second->size() : 1;
        for (size_t inside = 0; inside < count; ++inside) layers.push_back({unit, inside});
    }
    std::map<size_t, std::vector<size_t>> kept;
    for (const size_t layer : parse_layers(text, layers.size()))
        kept[layers[layer].unit].push_back(layers[layer].inside);
    std::vector<size_t> units;
    std::map<size_t, ReversibleRun*> runs;
    for (const auto& [unit, inside] : kept) {
        if (const auto run = stack_.reversible.find(unit); run != stack_.reversible.end()) {
            run->second->keep(inside);
            runs[units.size()] = run->second;
        }
        units.push_back(unit);
    }
    stack_.root->keep(units);
    stack_.reversible = std::move(runs);
    Problems problems;
    check_bag_uses(*stack_.root, given_, problems);
    problems.throw_if_any("layers " + text);
}

}  // namespace lithe
