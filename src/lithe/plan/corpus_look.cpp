#include "lithe/plan/corpus_look.h"

#include <algorithm>
#include <bitset>
#include <vector>

#include "lithe/formats/packed.h"

namespace lithe {
namespace {

std::string read_piece(const TokenView& tokens, uint64_t begin, uint64_t length) {
    std::vector<int64_t> ids(length);
    tokens.read(begin, length, ids.data());
    return std::string(ids.begin(), ids.end());
}

}  // namespace

CorpusLook look_at(const Corpus& corpus) {
    const TokenView& train = corpus.split("train");
    CorpusLook look{.bytes = train.bytes(),
                    .tokens = train.size(),
                    .valid_bytes = corpus.has("valid") ? corpus.split("valid").bytes() : 0,
                    .vocabulary = corpus.tokenizer().vocabulary_size(),
                    .is_bytes = train.bytes() == train.size() && corpus.tokenizer().vocabulary_size() <= 256};
    if (!look.is_bytes) return look;
    // pieces from all over the text, compressed in one: files of one kind resemble each other
    const uint64_t length = std::min(kSamplePiece, train.size());
    const uint64_t pieces = std::clamp<uint64_t>(train.size() / kSamplePiece, 1, kMostSample / kSamplePiece);
    std::string sample;
    for (uint64_t i = 0; i < pieces; ++i)
        sample += read_piece(train, pieces == 1 ? 0 : i * ((train.size() - length) / (pieces - 1)), length);
    std::bitset<256> seen;
    for (char c : sample) seen.set(uint8_t(c));
    look.packed_bits = 8 * double(packed_size(sample)) / double(sample.size());
    look.distinct = int(seen.count());
    return look;
}

}  // namespace lithe
