#include "lithe/model/recompute_cost.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lithe {

StackLoad load_of(const Stack& stack, const CostShape& shape, int64_t width) {
    const double fp32 = std::max(1.0, 4 / double(shape.element_size));
    StackLoad load{.blocks = {}, .input = double(width), .streams = 2 * double(width) * fp32};
    for (const AppliedBlock& applied : stack.blocks) {
        const Shell::Parts& parts = *applied.parts;
        load.blocks.push_back(
            {.layer = applied.layer,
             .kept = parts.block->activation_numbers_per_token(shape) + parts.adapter.activation_numbers_per_token(),
             .flops = parts.block->flops_per_token(shape) + parts.adapter.flops_per_token(),
             .alone = applied.recomputable != nullptr,
             .reversible = applied.reversible});
    }
    return load;
}

namespace {

// Sums over layers.
struct Layers {
    std::vector<double> kept, flops;
    double input;
    explicit Layers(const StackLoad& load) : kept(load.layers()), flops(load.layers()), input(load.input) {
        for (const BlockLoad& block : load.blocks) {
            if (block.reversible) kept[block.layer] = load.streams;
            else kept[block.layer] += block.kept;
            flops[block.layer] += block.flops;
        }
    }
    static double sum(const std::vector<double>& of, size_t begin, size_t end) {
        return std::accumulate(of.begin() + int64_t(begin), of.begin() + int64_t(end), 0.0);
    }
};

RecomputeCost cost_as_it_is(const StackLoad& load) {
    RecomputeCost cost;
    cost.held = Layers::sum(Layers(load).kept, 0, load.layers());
    cost.peak = cost.held;
    return cost;
}

RecomputeCost cost_of_groups(const Layers& layers, size_t group) {
    RecomputeCost cost;
    size_t begin = 0;
    double inputs = 0;
    for (; begin + group < layers.kept.size(); begin += group) {
        inputs += layers.input;
        cost.peak = std::max(cost.peak, inputs + Layers::sum(layers.kept, begin, begin + group));
        cost.reruns += Layers::sum(layers.flops, begin, begin + group);
    }
    cost.held = inputs + Layers::sum(layers.kept, begin, layers.kept.size());
    cost.peak = std::max(cost.peak, cost.held);
    return cost;
}

// Of the layers from begin to end, whose input is kept by the first group; `ran_before`: in a rerun the layers' first
// run is counted already.
RecomputeCost cost_of_chain(const Layers& layers, size_t begin, size_t end, int64_t slots) {
    if (end - begin == 1) return {layers.kept[begin], layers.kept[begin], 0};
    const size_t middle = begin + size_t(next_kept(int64_t(end - begin), slots));
    const RecomputeCost rest = cost_of_chain(layers, middle, end, std::max<int64_t>(1, slots - 1));
    const RecomputeCost again = cost_of_chain(layers, begin, middle, slots);
    RecomputeCost cost;
    cost.held = layers.input + rest.held;
    cost.peak = std::max(layers.input + rest.peak, again.peak);
    cost.reruns = Layers::sum(layers.flops, begin, middle) + rest.reruns + again.reruns;
    return cost;
}

RecomputeCost cost_of_selected(const StackLoad& load) {
    const std::vector<bool> selected = selected_blocks(load);
    StackLoad left = load;
    RecomputeCost cost;
    double largest = 0;
    for (size_t i = 0; i < load.blocks.size(); ++i) {
        if (!selected[i]) continue;
        left.blocks[i].kept = load.input;
        largest = std::max(largest, load.blocks[i].kept);
        cost.reruns += load.blocks[i].flops;
    }
    cost.held = cost_as_it_is(left).held;
    cost.peak = cost.held + largest;
    return cost;
}

// Of a way of recomputing alone, as if reversible runs took their inputs back for nothing.
RecomputeCost cost_of_layers(const Recompute& recompute, const StackLoad& load) {
    const size_t count = load.layers();
    if (count < 2 && recompute.method != RecomputeMethod::selective) return cost_as_it_is(load);
    switch (recompute.method) {
        case RecomputeMethod::uniform:
            return cost_of_groups(Layers(load), size_t(recompute_number(recompute, int64_t(count))));
        case RecomputeMethod::optimal:
            return cost_of_chain(Layers(load), 0, count, recompute_number(recompute, int64_t(count)));
        case RecomputeMethod::selective: return cost_of_selected(load);
        case RecomputeMethod::none:
        case RecomputeMethod::memory: break;
    }
    return cost_as_it_is(load);
}

}  // namespace

std::vector<bool> selected_blocks(const StackLoad& load) {
    constexpr double kShare = 0.25;
    double all = 0;
    for (const BlockLoad& block : load.blocks) all += block.flops;
    std::vector<size_t> order(load.blocks.size());
    std::iota(order.begin(), order.end(), size_t(0));
    const auto price = [&](size_t i) { return load.blocks[i].flops / std::max(1.0, load.blocks[i].kept - load.input); };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return price(a) < price(b); });
    std::vector<bool> selected(load.blocks.size());
    double again = 0;
    for (const size_t i : order) {
        const BlockLoad& block = load.blocks[i];
        if (!block.alone || block.kept <= load.input || again + block.flops > kShare * all) continue;
        selected[i] = true;
        again += block.flops;
    }
    return selected;
}

RecomputeCost cost_of(const Recompute& recompute, const StackLoad& load) {
    RecomputeCost cost = cost_of_layers(recompute, load);
    double block = 0;  // of which a reversible run's backward pass has the activations and their gradients
    for (const BlockLoad& each : load.blocks) {
        if (!each.reversible) continue;
        block = std::max(block, each.kept);
        cost.reruns += each.flops;
    }
    if (block > 0) cost.peak += 2 * block + load.streams;  // and the streams' gradients
    return cost;
}

std::vector<Recompute> ways_to_recompute(size_t layers) {
    using enum RecomputeMethod;
    std::vector<Recompute> ways = {{none, 0}, {selective, 0}};
    constexpr int64_t kAll = 64;  // beyond, sizes that differ by a thirty-second
    for (int64_t k = 1; k < int64_t(layers); k += k < kAll ? 1 : k / 32) {
        ways.push_back({uniform, k});
        ways.push_back({optimal, k});
    }
    return ways;
}

}  // namespace lithe
