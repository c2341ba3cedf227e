// What recomputation saves and costs, counted before anything runs: for the estimate of memory, for what a run says of
// its price, and for the choice of `memory`.
#pragma once

#include <optional>
#include <vector>

#include "lithe/model/stack.h"

namespace lithe {

// One block application: numbers per token that its backward pass needs, and its forward operations per token.
struct BlockLoad {
    size_t layer = 0;
    double kept = 0, flops = 0;
    bool alone = false;       // it can be recomputed by itself
    bool reversible = false;  // in a reversible run
};

// A stack's blocks in order, and the numbers per token of what goes from layer to layer. A reversible run is one layer.
struct StackLoad {
    std::vector<BlockLoad> blocks;
    double input = 0;
    double streams = 0;  // what a reversible run keeps
    size_t layers() const { return blocks.empty() ? 0 : blocks.back().layer + 1; }
};
StackLoad load_of(const Stack& stack, const CostShape& shape, int64_t width);

struct RecomputeCost {
    double held = 0;    // numbers per token that are there when the forward pass has ended
    double peak = 0;    // at most, until the backward pass has ended
    double reruns = 0;  // forward operations per token that are run a second time, or more often; those of reversible
                        // runs, too
};
// `recompute`: not `memory`, which is a choice among the others.
RecomputeCost cost_of(const Recompute& recompute, const StackLoad& load);

// By block: those with the fewest operations for each number that they keep, as long as no more than a quarter of the
// stack's operations runs again.
std::vector<bool> selected_blocks(const StackLoad& load);

// Every way worth trying for stacks of at most so many layers, `none` first.
std::vector<Recompute> ways_to_recompute(size_t layers);

}  // namespace lithe
