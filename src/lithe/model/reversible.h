// Reversible layers (Gomez et al. 2017, "The Reversible Residual Network", section 3.1; Kitaev et al. 2020, "Reformer",
// section 3): two streams, each moved by a branch of the other one, so that what went in can be had from what came out.
//
//   forward   y1 = x1 + F(x2),  y2 = x2 + G(y1)        inverse   x2 = y2 - G(y1),  x1 = y1 - F(x2)
//
// A run of such layers keeps its last two streams and nothing else, however deep it is. Its backward pass goes from
// block to block: a branch runs again, its stream is taken back, its gradients go on. Dropout and all other draws are
// functions of keys, so the second run is the first one up to the rounding of the streams, which are fp32 at least.
//
// Both streams begin as the run's input, and its output is their mean. Blocks move the first and the second stream in
// turn; with two blocks to a layer these are F and G.
#pragma once

#include "lithe/model/layer_drop.h"

namespace lithe {

class ReversibleRun : public Unit {
 public:
    struct Layer {
        std::vector<std::unique_ptr<Shell>> blocks;  // of kinds without a skip of their own, and not under post-norm
        std::shared_ptr<const DropPlace> drop;       // null: it is never left out
    };
    explicit ReversibleRun(std::vector<Layer> layers);

    // The state has a part for each layer, and that one for each block. The next state takes no gradient where the
    // run is trained, as between segments. Thread-safe where blocks are.
    UnitOutput forward(const Flow& flow, const State& state, const Pass& pass) const override;
    State skip(const Tensor& x_TBD, const State& state, const Pass& pass) const override;
    std::vector<const Unit*> units() const override;
    void trace_bag(BagTrace& trace) const override;
    std::string own_residual() const override { return ""; }
    StepOutput add_step(StepProgram& program, const float* x, int64_t memory) const override;

    size_t size() const { return layers_.size(); }
    // Only these layers, by rising index; the others are gone.
    void keep(const std::vector<size_t>& kept);

 private:
    // One application of a block in a pass.
    struct Move {
        const Shell* block;
        size_t layer, place;  // in the state
        bool first;           // which stream it moves
        double scale;         // of its branch
        bool kept;            // false: its layer is left out
    };
    struct Ran;
    class Inverse;
    // All blocks, in order.
    std::vector<Move> moves(const Pass& pass) const;
    Ran run(const Flow& flow, const State& state, const Pass& pass, bool inverted) const;

    std::vector<Layer> layers_;
    std::vector<bool> starts_with_first_;  // of each layer: which stream its first block moves
};

}  // namespace lithe
