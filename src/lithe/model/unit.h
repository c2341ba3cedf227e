// Anything that maps {x, bag, state, pass} to {y, bag, state, aux}: a block in its shell, a sequence, or a wrapper
// around one of these. How a stack is run (layer dropping, checkpointing, reversible residuals …) is a Unit around a
// Unit; block kinds know nothing of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lithe/blocks/block.h"
#include "lithe/model/adapter.h"
#include "lithe/nn/norm.h"

namespace lithe {

// What goes through a stack.
struct Flow {
    Tensor x_TBD;
    Bag bag;
    Flow() = default;
    Flow(Tensor x, Bag bag_ = {}) : x_TBD(std::move(x)), bag(std::move(bag_)) {}
};

struct UnitOutput {
    Flow flow;
    State state;
    Aux aux;
};

// What gradients may flow to through a unit beside its parameters: x, the bag's tensors, the state's. A wrapper that
// computes a unit anew hands on the gradients of them all.
std::vector<Tensor*> differentiable_inputs(Flow& flow, State& state);
// What gradients flow back from: x, what was written to the bag, losses, in this order. `given`: the bag before.
std::vector<Tensor*> differentiable_outputs(UnitOutput& out, const Bag& given);

// Follows a stack from block to block: what is in the bag by then, and who reads what is not.
struct BagTrace {
    struct Uses {
        std::vector<BagKey> reads, recalls, writes;  // BlockTraits::reads, Block::recalls(), BlockTraits::writes
    };
    struct Missing {
        std::string label;  // of the block
        BagKey key;
    };
    std::vector<BagKey> written, written_perhaps;  // surely; by a layer that a step may leave out
    std::vector<Missing> missing;
    void follow(const std::string& label, const Uses& uses);
    // What follows a unit that may be left out: what it wrote since there were `written_before` is no longer sure.
    void may_be_left_out(size_t written_before);
};

class Unit {
 public:
    virtual ~Unit() = default;
    // An empty state is the start of a stream.
    virtual UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const = 0;
    // The next state when the unit is left out of a training step, its output being x.
    virtual State skip(const Tensor& /*x_TBD*/, const State& state, const Pass& /*pass*/) const { return state; }
    // The bare branch of y = x + branch(x), where own_residual() is "": what a wrapper takes that adds up itself.
    virtual BranchOutput branch(const Flow& flow, const State& state, const Pass& pass) const;
    // The units that run inside, in order; a part of the state belongs to each. Empty: there is nothing to take apart.
    virtual std::vector<const Unit*> units() const { return {}; }
    // What a unit writes that may be left out is no use to those after it.
    virtual void trace_bag(BagTrace& trace) const {
        for (const Unit* unit : units()) unit->trace_bag(trace);
    }
    // The name of the first block inside whose skip is its own, or "": a wrapper that needs y = x + branch(x) refuses
    // it.
    virtual std::string own_residual() const = 0;
    // One step at batch 1, as Block::add_step; y is the unit's output.
    virtual StepOutput add_step(StepProgram&, const float* /*x*/, int64_t /*memory*/) const { return {}; }
};

// By what a shell multiplies its branch: an entry of a pass, for wrappers that scale what is inside.
struct BranchScale {
    double scale = 1;
};

// The shell of one application of a block: norm placement, dropout, residual.
//   pre: x + drop(block(LN(x)))      post: LN(x + drop(block(x)))      none: x + drop(block(x))
//   own residual: block(x)
//
// With an adapter, what is added to x, or a block with its own residual gives, goes through it.
class Shell : public Unit {
 public:
    struct Parts {
        std::shared_ptr<const Block> block;
        const BlockKind* kind = nullptr;
        std::string label;  // as in the layout
        StackNorm norm;     // empty: none
        Adapter adapter;    // empty: none
        bool post = false;
        double dropout = 0;
        int64_t width = 0;
        size_t first_parameter = 0, end_parameter = 0;  // in the store
    };
    // `path`: of this application, where dropout draws by it; two applications of shared weights have two.
    Shell(std::shared_ptr<const Parts> parts, const std::string& path, int occurrence)
        : parts_(std::move(parts)),
          path_(combine_key(0, path)),
          occurrence_(occurrence) {}
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    // Under the shell's norm and dropout. Throws for kinds with a skip of their own and post-norm.
    BranchOutput branch(const Flow& flow, const State& state, const Pass& pass) const override;
    void trace_bag(BagTrace& trace) const override;
    std::string own_residual() const override { return parts_->kind->traits.own_residual ? parts_->kind->name : ""; }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    // One step of branch(): y is what is added to x.
    StepOutput add_branch_step(StepProgram& program, const float* x, int64_t memory) const;
    void set_occurrences(int count) { occurrences_ = count; }
    const Parts& parts() const { return *parts_; }

 private:
    Place place() const { return {.path = path_, .occurrence = occurrence_, .occurrences = occurrences_}; }
    Place normed_place(const Tensor& x_TBD) const;
    // What the block gave, after dropout and adapter.
    Tensor finished(Tensor delta_TBD, const Call& call) const;
    // The same of a single step, without dropout.
    const float* finished(StepProgram& program, const float* delta) const;
    std::shared_ptr<const Parts> parts_;
    uint64_t path_;
    int occurrence_, occurrences_ = 1;
};

class Sequence : public Unit {
 public:
    explicit Sequence(std::vector<std::unique_ptr<Unit>> units) : units_(std::move(units)) {}
    size_t size() const { return units_.size(); }
    // Only these units, by rising index; the others are gone.
    void keep(const std::vector<size_t>& kept);
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override;
    std::string own_residual() const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 protected:
    // The units from `begin` to `end` and their parts of the next state; `state` is that of all units.
    UnitOutput run_units(size_t begin, size_t end, const Flow& flow, const State& state, const Pass& pass) const;

 private:
    std::vector<std::unique_ptr<Unit>> units_;
};

}  // namespace lithe
