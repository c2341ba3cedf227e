#include "lithe/plan/corpus_look.h"

#include <algorithm>
#include <bitset>

#include "lithe/formats/packed.h"

namespace lithe {
namespace {

constexpr uint64_t kSample = 1 << 20, kPieces = 16;

// All of a short text, else equally spaced pieces of it.
std::string sample_of(const TokenView& tokens) {
    const uint64_t size = tokens.size(), count = std::min(size, kSample);
    const uint64_t pieces = size <= kSample ? 1 : kPieces, length = count / pieces;
    std::string sample;
    std::vector<int64_t> ids(length);
    for (uint64_t piece = 0; piece < pieces; ++piece) {
        tokens.read(pieces == 1 ? 0 : piece * ((size - length) / (pieces - 1)), length, ids.data());
        for (int64_t id : ids) sample += char(id);
    }
    return sample;
}

}  // namespace

CorpusLook look_at(const Corpus& corpus) {
    const TokenView& train = corpus.split("train");
    CorpusLook look{.bytes = train.bytes(),
                    .tokens = train.size(),
                    .vocabulary = corpus.tokenizer().vocabulary_size(),
                    .is_bytes = train.bytes() == train.size() && corpus.tokenizer().vocabulary_size() <= 256};
    if (!look.is_bytes) return look;
    const std::string sample = sample_of(train);
    std::bitset<256> seen;
    for (char c : sample) seen.set(uint8_t(c));
    look.distinct = int(seen.count());
    look.packed_bits = 8 * double(packed_size(sample)) / double(std::max<size_t>(1, sample.size()));
    return look;
}

}  // namespace lithe
