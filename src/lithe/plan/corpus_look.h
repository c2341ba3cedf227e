// What a plan needs to know of a corpus, found in a second or two.
#pragma once

#include "lithe/data/corpus.h"

namespace lithe {

constexpr uint64_t kSamplePiece = 1 << 20, kMostSample = 4 * kSamplePiece;  // bytes

struct CorpusLook {
    uint64_t bytes = 0, tokens = 0;  // of the training split
    uint64_t valid_bytes = 0;        // of the validation split; 0: there is none
    int64_t vocabulary = 0;
    bool is_bytes = false;   // a token is a byte, and plans can be priced in bits per byte
    int distinct = 0;        // byte values in the sample
    double packed_bits = 0;  // per byte: what PPMd makes of up to kMostSample; how hard the text is
};

CorpusLook look_at(const Corpus& corpus);

}  // namespace lithe
