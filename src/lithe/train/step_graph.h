// A training step on a GPU, recorded: forward, backward and the collection of gradients in one launch (ops/graph.h),
// with inputs, carried state and loss in buffers that stay.
#pragma once

#include <memory>

#include "lithe/blocks/state.h"
#include "lithe/ops/graph.h"

namespace lithe {

bool same_shapes(const State& a, const State& b);

class StepGraph {
 public:
    // One step on these; `state` becomes the next one's. Returns the summed loss.
    using Step =
        std::function<Tensor(const Tensor& ids_TB, const Tensor& targets_TB, const Tensor& salt, State& state)>;
    // Records the step for inputs and a state like these; nothing of it is done yet.
    StepGraph(const Tensor& ids_TB, const Tensor& targets_TB, const State& state, const Step& step);

    bool fits(const Tensor& ids_TB, const State& state) const;
    // Whether this state lives in the recording's buffers.
    bool owns(const State& state) const;
    // Does the step; returns the summed loss and leaves the next state, which the next play overwrites.
    double play(const Tensor& ids_TB, const Tensor& targets_TB, uint64_t salt, State& state);
    // Back to the state before the last play.
    void take_back();

 private:
    Tensor ids_TB_, targets_TB_, salt_, loss_;
    State before_, after_;
    std::unique_ptr<ops::Graph> graph_;
};

}  // namespace lithe
