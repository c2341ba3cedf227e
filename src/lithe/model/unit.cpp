#include "lithe/model/unit.h"

#include "lithe/ops/dropout.h"

namespace lithe {

Context Shell::inner(const Context& context) const {
    Context own = context;
    own.occurrence = occurrence_;
    own.occurrences = occurrences_;
    return own;
}

BranchOutput Shell::branch(const Tensor& x_TBD, const State& state, const Context& context) const {
    if (!own_residual().empty())
        fail_usage("block '" + own_residual() + "' has a skip of its own and no bare branch", "layout");
    if (parts_->post)
        fail_usage("model.norm = \"post\" has no bare branch: the norm stands after the residual", "model.norm");
    Context own = inner(context);
    BranchOutput out = parts_->block->branch(parts_->norm ? parts_->norm(x_TBD) : x_TBD, state, own);
    if (own.training) out.delta_TBD = ops::dropout(out.delta_TBD, parts_->dropout, own.site("residual"));
    return out;
}

UnitOutput Shell::forward(const Tensor& x_TBD, const State& state, const Context& context) const {
    Context own = inner(context);
    if (parts_->kind->traits.own_residual) {
        BranchOutput out = parts_->block->branch(x_TBD, state, own);
        return {out.delta_TBD, std::move(out.state), std::move(out.aux)};
    }
    if (!parts_->post) {
        BranchOutput out = branch(x_TBD, state, context);
        return {x_TBD + out.delta_TBD, std::move(out.state), std::move(out.aux)};
    }
    BranchOutput out = parts_->block->branch(x_TBD, state, own);
    if (own.training) out.delta_TBD = ops::dropout(out.delta_TBD, parts_->dropout, own.site("residual"));
    return {parts_->norm(x_TBD + out.delta_TBD), std::move(out.state), std::move(out.aux)};
}

UnitOutput Sequence::forward(const Tensor& x_TBD, const State& state, const Context& context) const {
    UnitOutput all;
    all.y_TBD = x_TBD;
    static const State empty;
    for (size_t i = 0; i < units_.size(); ++i) {
        UnitOutput out = units_[i]->forward(all.y_TBD, i < state.parts.size() ? state.parts[i] : empty, context);
        all.y_TBD = std::move(out.y_TBD);
        all.state.parts.push_back(std::move(out.state));
        all.aux.append(std::move(out.aux));
    }
    return all;
}

std::string Sequence::own_residual() const {
    for (const auto& unit : units_)
        if (std::string name = unit->own_residual(); !name.empty()) return name;
    return "";
}

}  // namespace lithe
