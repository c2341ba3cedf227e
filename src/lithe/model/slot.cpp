#include "lithe/model/slot.h"

namespace lithe {

SlotChoices choose_slots(const std::vector<int64_t>& indices) {
    SlotChoices choices;
    for (int64_t index : indices) choices.places.push_back({index, {}});
    return choices;
}

Tensor Slot::difference(const Shell& candidate, const Flow& flow, const State& state, const Pass& pass, State& after,
                        Aux& aux) const {
    if (std::string(candidate.parts().kind->name) == "identity") return {};
    if (candidate.own_residual().empty() && !candidate.parts().post) {
        BranchOutput out = candidate.branch(flow, state, pass);
        after = std::move(out.state);
        aux.append(std::move(out.aux));
        return out.delta_TBD;
    }
    UnitOutput out = candidate.forward(flow, state, pass);
    after = std::move(out.state);
    aux.append(std::move(out.aux));
    return out.flow.x_TBD - flow.x_TBD;
}

// A recurrence that does not run keeps its state: there is nothing to remember of what came by.
State Slot::pass_by(const Shell& candidate, const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return candidate.own_residual().empty() ? candidate.skip(x_TBD, state, pass) : state;
}

UnitOutput Slot::forward(const Flow& flow, const State& state, const Pass& pass) const {
    const auto choices = pass.entries.find<SlotChoices>();
    if (!choices || index_ >= choices->places.size())
        fail_usage("the network of a search runs with choices only", "model.layout",
                   "lithe search writes the layout that it found");
    const SlotChoice& choice = choices->places[index_];
    UnitOutput out{flow, {}, {}};
    for (size_t i = 0; i < candidates_.size(); ++i) {
        const State& own = state.part(i);
        State after;
        if (choice.index >= 0 && size_t(choice.index) != i) {
            out.state.parts.push_back(pass_by(*candidates_[i], flow.x_TBD, own, pass));
            continue;
        }
        if (choice.index >= 0) {  // as the block alone would
            UnitOutput alone = candidates_[i]->forward(flow, own, pass);
            out.flow.x_TBD = alone.flow.x_TBD;
            after = std::move(alone.state);
            out.aux.append(std::move(alone.aux));
        } else if (Tensor delta = difference(*candidates_[i], flow, own, pass, after, out.aux); delta.defined()) {
            out.flow.x_TBD = out.flow.x_TBD + delta * choice.weights[int64_t(i)];
        }
        out.state.parts.push_back(std::move(after));
    }
    return out;
}

State Slot::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    State after;
    for (size_t i = 0; i < candidates_.size(); ++i)
        after.parts.push_back(pass_by(*candidates_[i], x_TBD, state.part(i), pass));
    return after;
}

std::vector<const Unit*> Slot::units() const {
    std::vector<const Unit*> list;
    for (const auto& candidate : candidates_) list.push_back(candidate.get());
    return list;
}

void Slot::trace_bag(BagTrace& trace) const {
    const size_t before = trace.written.size();
    for (const auto& candidate : candidates_) {
        candidate->trace_bag(trace);
        trace.may_be_left_out(before);
    }
}

std::string Slot::own_residual() const {
    for (const auto& candidate : candidates_)
        if (std::string name = candidate->own_residual(); !name.empty() && name != "identity") return name;
    return "";
}

}  // namespace lithe
