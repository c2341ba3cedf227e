// Continuous streams: the split is cut into `batch` equal contiguous pieces that are read in step, `length` tokens at a
// time. Targets are the inputs shifted by one. At the end of the pieces an epoch ends and reading starts anew.
#pragma once

#include <cstdint>
#include <vector>

#include "lithe/data/corpus.h"

namespace lithe {

struct StreamPosition {
    uint64_t epoch = 0;
    uint64_t at = 0;  // tokens read of each piece in this epoch
};

class StreamBatcher {
 public:
    // Throws a usage error when the split is too short for one segment.
    StreamBatcher(const TokenView& tokens, int64_t batch, int64_t length);

    // Fills inputs and targets, time first: [length][batch]. Returns true when this segment begins an epoch (carried
    // state must start anew).
    bool next(int64_t* inputs, int64_t* targets);
    const StreamPosition& position() const { return position_; }
    void seek(const StreamPosition& position);
    uint64_t segments_per_epoch() const { return (piece_ - 1) / uint64_t(length_); }

 private:
    const TokenView& tokens_;
    int64_t batch_, length_;
    uint64_t piece_;
    StreamPosition position_;
    std::vector<int64_t> buffer_;
};

}  // namespace lithe
