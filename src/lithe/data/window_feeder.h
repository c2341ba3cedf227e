// Rows that stand alone, in batches of similar length: little of a batch is padding.
//
// Each epoch's random order is cut into windows, whose rows are sorted by length, and whose batches are taken in a
// random order. A batch is as many rows as fit into so many tokens a side, padding included, or so many rows.
#pragma once

#include <algorithm>
#include <functional>

#include "lithe/data/feeder.h"

namespace lithe {

struct SizedRow {
    uint64_t number = 0;            // by which fill() knows it
    int64_t first = 0, second = 0;  // tokens of its sides
    int64_t longer() const { return std::max(first, second); }
};

struct WindowOptions {
    int64_t most_tokens = 0;  // of a batch's side; 0: no bound
    int64_t most_rows = 0;    // of a batch; 0: no bound
    int64_t window = 1;       // rows
    uint64_t seed = 0;
};
inline constexpr int64_t kBatchesOfWindow = 32;

// `fill` makes a batch of the rows of these numbers. There is at least one row.
std::unique_ptr<Feeder> make_window_feeder(std::vector<SizedRow> rows, const WindowOptions& options,
                                           std::function<void(const std::vector<uint64_t>&, Batch&)> fill);

}  // namespace lithe
