// Rows of tokens as a feeder makes them: what a micro-batch is trained on, on the host.
#pragma once

#include <cstdint>
#include <vector>

#include "lithe/base/position_flags.h"

namespace lithe {

// A sequence that is read beside the main one.
struct SourceSequence {
    int64_t length = 0;
    std::vector<int64_t> ids;    // [length][rows]
    std::vector<uint8_t> flags;  // [length][rows]
    bool empty() const { return ids.empty(); }
};

// What rows are to be given: a class each, or a number each. Empty: nothing.
struct RowLabels {
    std::vector<int64_t> classes;
    std::vector<double> numbers;
    bool empty() const { return classes.empty() && numbers.empty(); }
    size_t size() const { return classes.empty() ? numbers.size() : classes.size(); }
};

struct Batch {
    int64_t length = 0, rows = 0;
    std::vector<int64_t> inputs, targets;  // [length][rows]; target -1: not scored
    std::vector<uint8_t> flags;            // [length][rows], base/position_flags.h; empty: none
    SourceSequence source;                 // empty: none
    RowLabels labels;
    bool begins = false;  // every row starts anew: carried state does not apply
    int64_t tokens = 0;   // positions that are no padding

    bool is_padding(size_t place) const { return !flags.empty() && (flags[place] & kPadding); }
};

}  // namespace lithe
