// What the candidates of a search cost: measured on this machine, or counted.
#pragma once

#include "lithe/train/architecture.h"
#include "lithe/train/machine.h"

namespace lithe {

// By search.cost, for one evaluation segment (evaluation.length and memory) at batch 1:
//   latency     milliseconds of the forward pass, the median of several
//   flops       per token, forward
//   parameters  numbers; memory  bytes of weights in the working precision and of carried state
// An empty table for "none".
CostTable measure_costs(const Config& config, int64_t vocabulary, const Machine& machine);

// Of any layout: counted, or for latency summed by the table, blocks that it does not know measured. 0 for "none".
double cost_of_layout(const Config& config, const CostTable& costs, const std::string& layout, int64_t vocabulary,
                      const Machine& machine);

// Kept in a file, so that a resumed search sees the same numbers. Throws bad_file for one of other candidates.
void write_costs(const std::string& path, const Config& config, const CostTable& costs);
CostTable read_costs(const std::string& path, const Config& config);

}  // namespace lithe
