#include "lithe/model/slot.h"

namespace lithe {

SlotChoices choose_slots(const std::vector<int64_t>& indices) {
    auto choices = std::make_shared<std::vector<SlotChoice>>();
    for (int64_t index : indices) choices->push_back({index, {}});
    return choices;
}

Tensor Slot::difference(const Shell& candidate, const Tensor& x_TBD, const State& state, const Context& context,
                        State& after, Aux& aux) const {
    if (std::string(candidate.parts().kind->name) == "identity") return {};
    if (candidate.own_residual().empty() && !candidate.parts().post) {
        BranchOutput out = candidate.branch(x_TBD, state, context);
        after = std::move(out.state), aux.append(std::move(out.aux));
        return out.delta_TBD;
    }
    UnitOutput out = candidate.forward(x_TBD, state, context);
    after = std::move(out.state), aux.append(std::move(out.aux));
    return out.y_TBD - x_TBD;
}

// A recurrence that does not run keeps its state: there is nothing to remember of what came by.
State Slot::pass_by(const Shell& candidate, const Tensor& x_TBD, const State& state, const Context& context) const {
    return candidate.own_residual().empty() ? candidate.skip(x_TBD, state, context) : state;
}

UnitOutput Slot::forward(const Tensor& x_TBD, const State& state, const Context& context) const {
    if (!context.slots || index_ >= context.slots->size())
        fail_usage("the network of a search runs with choices only", "model.layout",
                   "lithe search writes the layout that it found");
    const SlotChoice& choice = (*context.slots)[index_];
    static const State empty;
    UnitOutput out{x_TBD, {}, {}};
    for (size_t i = 0; i < candidates_.size(); ++i) {
        const State& own = i < state.parts.size() ? state.parts[i] : empty;
        State after;
        if (choice.index >= 0 && size_t(choice.index) != i) {
            out.state.parts.push_back(pass_by(*candidates_[i], x_TBD, own, context));
            continue;
        }
        if (choice.index >= 0) {  // as the block alone would
            UnitOutput alone = candidates_[i]->forward(x_TBD, own, context);
            out.y_TBD = alone.y_TBD, after = std::move(alone.state), out.aux.append(std::move(alone.aux));
        } else if (Tensor delta = difference(*candidates_[i], x_TBD, own, context, after, out.aux); delta.defined()) {
            out.y_TBD = out.y_TBD + delta * choice.weights[int64_t(i)];
        }
        out.state.parts.push_back(std::move(after));
    }
    return out;
}

State Slot::skip(const Tensor& x_TBD, const State& state, const Context& context) const {
    State after;
    static const State empty;
    for (size_t i = 0; i < candidates_.size(); ++i)
        after.parts.push_back(
            pass_by(*candidates_[i], x_TBD, i < state.parts.size() ? state.parts[i] : empty, context));
    return after;
}

std::string Slot::own_residual() const {
    for (const auto& candidate : candidates_)
        if (std::string name = candidate->own_residual(); !name.empty() && name != "identity") return name;
    return "";
}

}  // namespace lithe
