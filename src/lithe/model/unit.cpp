#include "lithe/model/unit.h"

#include "lithe/ops/dropout.h"

namespace lithe {

Context Shell::inner(const Context& context) const {
    Context own = context;
    own.occurrence = occurrence_;
    own.occurrences = occurrences_;
    own.norm = nullptr, own.entering_TBD = Tensor();
    return own;
}

BranchOutput Shell::branch(const Tensor& x_TBD, const State& state, const Context& context) const {
    if (!own_residual().empty())
        fail_usage("block '" + own_residual() + "' has a skip of its own and no bare branch", "layout");
    if (parts_->post)
        fail_usage("model.norm = \"post\" has no bare branch: the norm stands after the residual", "model.norm");
    Context own = inner(context);
    if (parts_->norm) own.norm = &parts_->norm, own.entering_TBD = x_TBD;
    BranchOutput out = parts_->block->branch(parts_->norm ? parts_->norm(x_TBD) : x_TBD, state, own);
    if (own.training) out.delta_TBD = ops::dropout(out.delta_TBD, parts_->dropout, own.site("residual"), 1);
    if (own.branch_scale != 1) out.delta_TBD = out.delta_TBD * own.branch_scale;
    return out;
}

State Shell::skip(const Tensor& x_TBD, const State& state, const Context& context) const {
    Context own = inner(context);
    if (parts_->norm && !parts_->post) own.norm = &parts_->norm, own.entering_TBD = x_TBD;
    return parts_->block->skip(x_TBD, state, own);
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
    if (own.training) out.delta_TBD = ops::dropout(out.delta_TBD, parts_->dropout, own.site("residual"), 1);
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

State Sequence::skip(const Tensor& x_TBD, const State& state, const Context& context) const {
    State after;
    static const State empty;
    for (size_t i = 0; i < units_.size(); ++i)
        after.parts.push_back(units_[i]->skip(x_TBD, i < state.parts.size() ? state.parts[i] : empty, context));
    return after;
}

void Sequence::keep(const std::vector<size_t>& kept) {
    std::vector<std::unique_ptr<Unit>> units;
    for (size_t index : kept) units.push_back(std::move(units_.at(index)));
    units_ = std::move(units);
}

std::string Sequence::own_residual() const {
    for (const auto& unit : units_)
        if (std::string name = unit->own_residual(); !name.empty()) return name;
    return "";
}

StepOutput Shell::add_step(StepProgram& program, const float* x, int64_t memory) const {
    if (parts_->kind->traits.own_residual) return parts_->block->add_step(program, x, memory);
    const int64_t width = parts_->width;
    const bool pre = parts_->norm && !parts_->post;
    float *normed = pre ? program.vector(width) : nullptr, *y = program.vector(width);
    if (pre) program.norm(parts_->norm, x, width, normed);
    StepOutput branch = parts_->block->add_step(program, pre ? normed : x, memory);
    if (!branch.y) return {};
    program.parts(width, [=, delta = branch.y](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) y[i] = x[i] + delta[i];
    });
    if (!parts_->post) return {y, branch.load};
    float* out = program.vector(width);
    program.norm(parts_->norm, y, width, out);
    return {out, branch.load};
}

StepOutput Sequence::add_step(StepProgram& program, const float* x, int64_t memory) const {
    std::vector<std::function<void(const State&)>> loads;
    for (const auto& unit : units_) {
        StepOutput out = unit->add_step(program, x, memory);
        if (!out.y) return {};
        x = out.y;
        loads.push_back(std::move(out.load));
    }
    return {x, [loads = std::move(loads)](const State& state) {
                static const State empty;
                for (size_t i = 0; i < loads.size(); ++i)
                    if (loads[i]) loads[i](i < state.parts.size() ? state.parts[i] : empty);
            }};
}

}  // namespace lithe
