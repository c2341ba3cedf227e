// A text as segments of streams that are read in step (objectives/evaluate.h).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "lithe/data/scored_text.h"
#include "lithe/objectives/scored_batches.h"

namespace lithe {

// A row of a segment that is scored: its first token's place in the text, and the places of its targets.
struct ScoredRow {
    uint64_t first = 0, begin = 0, end = 0;
};

struct StreamScoring {
    int64_t tokens_before = 1;  // that a target needs
    bool carries_state = true;  // from segment to segment; false: each stands alone
    bool whole_rows = false;    // of a short text as many streams as have a whole segment
    // Makes a segment whose targets are the next tokens, -1 outside of its rows' places, what is scored; empty: it is.
    std::function<void(Batch&, const std::vector<ScoredRow>&)> prepare = {};
};

// The text and the protocol must outlive it. Throws bad_file for too short a text.
std::unique_ptr<ScoredBatches> make_stream_batches(const ScoredText& text, const EvaluationProtocol& protocol,
                                                   const StreamScoring& scoring);

}  // namespace lithe
