// Recomputation of activations (gradient checkpointing, Chen et al. 2016, arXiv 1604.06174). A training pass keeps what
// enters a group of units and runs the group again in the backward pass. Dropout and all other draws are functions of
// keys, so the second run is the first one and the gradients have the same bits. (But those of an encoder's output,
// which several layers of a group read: they are summed by group.)
//
//   uniform    groups of k layers. The last one is run as it is: its backward pass comes next.
//   optimal    binomial checkpointing (Griewank, Walther 2000, Algorithm 799): of a chain of l layers at most s inputs
//              are kept at any time, and the fewest layers are run again:
//                t(1, s) = 0,  t(l, 1) = l (l - 1) / 2,  t(l, s) = min over j of j + t(l - j, s - 1) + t(j, s)
//   selective  blocks, those that keep most numbers for each operation that runs again (model/recompute_cost.h)
#pragma once

#include <functional>

#include "lithe/model/unit.h"
#include "lithe/spec/recompute.h"

namespace lithe {

// Layers of a chain of `length` that are run without keeping anything, over a whole training step, with `slots` inputs
// kept; each layer runs once more with what its backward pass needs. Closed form: r l - C(s + r, r - 1) with the
// smallest r for which C(s + r, s) >= l.
int64_t reruns_of_chain(int64_t length, int64_t slots);
// The j of the minimum above: how many layers lie before the next input that is kept. `length` at least 2.
int64_t next_kept(int64_t length, int64_t slots);
// The number, or the square root of the layers, rounded up.
int64_t recompute_number(const Recompute& recompute, int64_t layers);

using UnitRun = std::function<UnitOutput(const Flow& flow, const State& state, const Pass& pass)>;
// What these runs give one after the other, of which only the first one's inputs are kept; all may be called again
// until the backward pass is over. The next state takes no gradient, as between segments. Without gradients asked for,
// the runs as they are. Thread-safe where they are.
UnitOutput recomputed(std::vector<UnitRun> runs, const Flow& flow, const State& state, const Pass& pass);

// The layers of a stack, recomputed in training as it is told. Its state is that of a Sequence.
class LayerSequence : public Sequence {
 public:
    using Sequence::Sequence;
    // Methods of layers alone: none, uniform or optimal.
    void set_recompute(const Recompute& recompute) { recompute_ = recompute; }
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;

 private:
    UnitRun run_of(size_t layer) const;
    static UnitRun again(std::vector<UnitRun> runs);
    std::vector<UnitRun> runs_of_groups(size_t group) const;
    std::vector<UnitRun> runs_of_chain(size_t begin, size_t end, int64_t slots) const;
    Recompute recompute_;
};

// A block that is recomputed when it is told so.
class RecomputableBlock : public Unit {
 public:
    explicit RecomputableBlock(std::unique_ptr<Unit> block) : block_(std::move(block)) {}
    void set_recomputed(bool on) { on_ = on; }
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    BranchOutput branch(const Flow& flow, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override { return {block_.get()}; }
    std::string own_residual() const override { return block_->own_residual(); }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

 private:
    std::unique_ptr<Unit> block_;
    bool on_ = false;
};

}  // namespace lithe
