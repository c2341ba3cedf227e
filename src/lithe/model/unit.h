// Anything that maps x_TBD to y_TBD with state: a block in its shell, a sequence, or a wrapper around one of these. How
// a stack is run (layer dropping, checkpointing, reversible residuals …) is a Unit around a Unit; block kinds know
// nothing of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lithe/blocks/block.h"
#include "lithe/nn/norm.h"

namespace lithe {

struct UnitOutput {
    Tensor y_TBD;
    State state;
    Aux aux;
};

class Unit {
 public:
    virtual ~Unit() = default;
    // An empty state is the start of a stream.
    virtual UnitOutput forward(const Tensor& x_TBD, const State& state, const Context& context) const = 0;
    // The next state when the unit is left out of a training step, its output being x.
    virtual State skip(const Tensor& /*x_TBD*/, const State& state, const Context& /*context*/) const { return state; }
    // The name of the first block inside whose skip is its own, or "": a wrapper that needs y = x + branch(x) refuses
    // it.
    virtual std::string own_residual() const = 0;
    // One step at batch 1, as Block::add_step; y is the unit's output.
    virtual StepOutput add_step(StepProgram&, const float* /*x*/, int64_t /*memory*/) const { return {}; }
};

// The shell of one application of a block: norm placement, dropout, residual.
//   pre: x + drop(block(LN(x)))      post: LN(x + drop(block(x)))      none: x + drop(block(x))      own residual:
//   block(x)
class Shell : public Unit {
 public:
    struct Parts {
        std::shared_ptr<const Block> block;
        const BlockKind* kind = nullptr;
        std::string label;  // as in the layout
        LayerNorm norm;     // empty: none
        bool post = false;
        double dropout = 0;
        int64_t width = 0;
        size_t first_parameter = 0, end_parameter = 0;  // in the store
    };
    Shell(std::shared_ptr<const Parts> parts, int occurrence) : parts_(std::move(parts)), occurrence_(occurrence) {}
    UnitOutput forward(const Tensor& x_TBD, const State& state, const Context& context) const override;
    State skip(const Tensor& x_TBD, const State& state, const Context& context) const override;
    // The bare branch under the shell's norm and dropout: y = x + delta. Throws for kinds with a skip of their own and
    // post-norm.
    BranchOutput branch(const Tensor& x_TBD, const State& state, const Context& context) const;
    std::string own_residual() const override { return parts_->kind->traits.own_residual ? parts_->kind->name : ""; }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;
    void set_occurrences(int count) { occurrences_ = count; }
    const Parts& parts() const { return *parts_; }

 private:
    Context inner(const Context& context) const;
    std::shared_ptr<const Parts> parts_;
    int occurrence_, occurrences_ = 1;
};

class Sequence : public Unit {
 public:
    explicit Sequence(std::vector<std::unique_ptr<Unit>> units) : units_(std::move(units)) {}
    size_t size() const { return units_.size(); }
    // Only these units, by rising index; the others are gone.
    void keep(const std::vector<size_t>& kept);
    UnitOutput forward(const Tensor& x_TBD, const State& state, const Context& context) const override;
    State skip(const Tensor& x_TBD, const State& state, const Context& context) const override;
    std::string own_residual() const override;
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 private:
    std::vector<std::unique_ptr<Unit>> units_;
};

}  // namespace lithe
