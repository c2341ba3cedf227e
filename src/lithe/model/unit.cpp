#include "lithe/model/unit.h"

#include "lithe/ops/dropout.h"

namespace lithe {

static void add_tensors(State& state, std::vector<Tensor*>& inputs) {
    for (StateTensor& each : state.tensors) inputs.push_back(&each.value);
    for (State& part : state.parts) add_tensors(part, inputs);
}

std::vector<Tensor*> differentiable_inputs(Flow& flow, State& state) {
    std::vector<Tensor*> inputs = {&flow.x_TBD};
    for (auto& [key, value] : flow.bag.entries()) inputs.push_back(&value);
    add_tensors(state, inputs);
    std::erase_if(inputs, [](const Tensor* each) { return !each->defined() || !each->requires_grad(); });
    return inputs;
}

std::vector<Tensor*> differentiable_outputs(UnitOutput& out, const Bag& given) {
    std::vector<Tensor*> outputs = {&out.flow.x_TBD};
    for (auto& [key, value] : out.flow.bag.entries())
        if (value.defined() && value.is_floating_point() && !value.is_same(given.get(key))) outputs.push_back(&value);
    for (auto& [name, value] : out.aux.losses) outputs.push_back(&value);
    return outputs;
}

BranchOutput Unit::branch(const Flow& flow, const State& state, const Pass& pass) const {
    if (!own_residual().empty())
        fail_usage("block '" + own_residual() + "' has a skip of its own and no bare branch", "layout");
    UnitOutput out = forward(flow, state, pass);
    return {out.flow.x_TBD - flow.x_TBD, std::move(out.state), std::move(out.aux), std::move(out.flow.bag)};
}

// Under pre-norm the block is told what stands before the norm.
Place Shell::normed_place(const Tensor& x_TBD) const {
    Place own = place();
    if (!parts_->norm || parts_->post) return own;
    own.entering_TBD = x_TBD;
    own.norm = &parts_->norm;
    return own;
}

BranchOutput Shell::branch(const Flow& flow, const State& state, const Pass& pass) const {
    if (!own_residual().empty())
        fail_usage("block '" + own_residual() + "' has a skip of its own and no bare branch", "layout");
    if (parts_->post)
        fail_usage("model.norm = \"post\" has no bare branch: the norm stands after the residual", "model.norm");
    const Tensor& x_TBD = flow.x_TBD;
    const Call call(pass, normed_place(x_TBD), flow.bag);
    BranchOutput out = parts_->block->branch(parts_->norm ? parts_->norm(x_TBD) : x_TBD, state, call);
    out.delta_TBD = finished(std::move(out.delta_TBD), call);
    if (const auto scaled = pass.entries.find<BranchScale>()) out.delta_TBD = out.delta_TBD * scaled->scale;
    return out;
}

Tensor Shell::finished(Tensor delta_TBD, const Call& call) const {
    if (call.pass.training && !parts_->kind->traits.own_residual)
        delta_TBD = ops::dropout(delta_TBD, parts_->dropout, call.site("residual"), 1);
    return parts_->adapter ? parts_->adapter(delta_TBD) : delta_TBD;
}

const float* Shell::finished(StepProgram& program, const float* delta) const {
    return parts_->adapter ? parts_->adapter.add_step(program, delta) : delta;
}

State Shell::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return parts_->block->skip(x_TBD, state, {pass, normed_place(x_TBD)});
}

// What a block wrote goes on beside what came.
static UnitOutput with_bag(Tensor y_TBD, const Flow& flow, BranchOutput&& out) {
    UnitOutput result{{std::move(y_TBD), flow.bag}, std::move(out.state), std::move(out.aux)};
    result.flow.bag.put(out.bag);
    return result;
}

UnitOutput Shell::forward(const Flow& flow, const State& state, const Pass& pass) const {
    const bool own_residual = parts_->kind->traits.own_residual;
    if (!own_residual && !parts_->post) {
        BranchOutput out = branch(flow, state, pass);
        return with_bag(flow.x_TBD + out.delta_TBD, flow, std::move(out));
    }
    const Call call(pass, place(), flow.bag);
    BranchOutput out = parts_->block->branch(flow.x_TBD, state, call);
    out.delta_TBD = finished(std::move(out.delta_TBD), call);
    if (own_residual) return with_bag(out.delta_TBD, flow, std::move(out));
    return with_bag(parts_->norm(flow.x_TBD + out.delta_TBD), flow, std::move(out));
}

static bool has(const std::vector<BagKey>& keys, const BagKey& key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

void BagTrace::follow(const std::string& label, const Uses& uses) {
    for (const BagKey& key : uses.reads)
        if (!has(written, key)) missing.push_back({label, key});
    for (const BagKey& key : uses.recalls)
        if (!has(written, key) && !has(written_perhaps, key)) missing.push_back({label, key});
    written.insert(written.end(), uses.writes.begin(), uses.writes.end());
}

void BagTrace::may_be_left_out(size_t written_before) {
    const auto since = written.begin() + int64_t(written_before);
    written_perhaps.insert(written_perhaps.end(), since, written.end());
    written.erase(since, written.end());
}

void Shell::trace_bag(BagTrace& trace) const {
    const BlockTraits& traits = parts_->kind->traits;
    trace.follow(parts_->label, {traits.reads, parts_->block->recalls(), traits.writes});
}

UnitOutput Sequence::forward(const Flow& flow, const State& state, const Pass& pass) const {
    return run_units(0, units_.size(), flow, state, pass);
}

UnitOutput Sequence::run_units(size_t begin, size_t end, const Flow& flow, const State& state, const Pass& pass) const {
    UnitOutput all;
    all.flow = flow;
    for (size_t i = begin; i < end; ++i) {
        UnitOutput out = units_[i]->forward(all.flow, state.part(i), pass);
        all.flow = std::move(out.flow);
        all.state.parts.push_back(std::move(out.state));
        all.aux.append(std::move(out.aux));
    }
    return all;
}

std::vector<const Unit*> Sequence::units() const {
    std::vector<const Unit*> list;
    for (const auto& unit : units_) list.push_back(unit.get());
    return list;
}

State Sequence::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    State after;
    for (size_t i = 0; i < units_.size(); ++i) after.parts.push_back(units_[i]->skip(x_TBD, state.part(i), pass));
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

StepOutput Shell::add_branch_step(StepProgram& program, const float* x, int64_t memory) const {
    if (parts_->norm && !parts_->post) {
        float* normed = program.vector(parts_->width);
        program.norm(parts_->norm, x, parts_->width, normed);
        x = normed;
    }
    StepOutput branch = parts_->block->add_step(program, x, memory);
    if (branch.y) branch.y = finished(program, branch.y);
    return branch;
}

StepOutput Shell::add_step(StepProgram& program, const float* x, int64_t memory) const {
    if (parts_->kind->traits.own_residual) {
        StepOutput own = parts_->block->add_step(program, x, memory);
        return own.y ? StepOutput{finished(program, own.y), own.load} : StepOutput{};
    }
    StepOutput branch = add_branch_step(program, x, memory);
    if (!branch.y) return {};
    const int64_t width = parts_->width;
    float* y = program.vector(width);
    program.parts(width, [=, delta = branch.y](int64_t row, int64_t begin, int64_t end) {
        for (int64_t i = row * width + begin; i < row * width + end; ++i) y[i] = x[i] + delta[i];
    });
    if (!parts_->post) return {y, branch.load};
    float* out = program.vector(width);
    program.norm(parts_->norm, y, width, out);
    return {out, branch.load};
}

StepOutput Sequence::add_step(StepProgram& program, const float* x, int64_t memory) const {
    std::vector<std::function<void(const State&, int64_t)>> loads;
    for (const auto& unit : units_) {
        StepOutput out = unit->add_step(program, x, memory);
        if (!out.y) return {};
        x = out.y;
        loads.push_back(std::move(out.load));
    }
    return {x, [loads = std::move(loads)](const State& state, int64_t row) {
                for (size_t i = 0; i < loads.size(); ++i)
                    if (loads[i]) loads[i](state.part(i), row);
            }};
}

}  // namespace lithe
