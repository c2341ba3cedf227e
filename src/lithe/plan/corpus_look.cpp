#include "lithe/plan/corpus_look.h"

#include <algorithm>
#include <bitset>
#include <vector>

#include "lithe/base/parallel.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace {

constexpr uint64_t kPiece = 1 << 20, kMostPieces = 4;

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
                    .vocabulary = corpus.tokenizer().vocabulary_size(),
                    .is_bytes = train.bytes() == train.size() && corpus.tokenizer().vocabulary_size() <= 256};
    if (!look.is_bytes) return look;
    // equally spaced, and compressed one by one: a model sees neighbours too
    const uint64_t length = std::min(kPiece, train.size());
    const auto pieces = int64_t(std::clamp<uint64_t>(train.size() / kPiece, 1, kMostPieces));
    std::vector<std::string> samples;
    for (int64_t i = 0; i < pieces; ++i) {
        const uint64_t begin = pieces == 1 ? 0 : uint64_t(i) * ((train.size() - length) / uint64_t(pieces - 1));
        samples.push_back(read_piece(train, begin, length));
    }
    std::vector<uint64_t> packed(samples.size());
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) packed[size_t(i)] = packed_size(samples[size_t(i)]);
    });
    std::bitset<256> seen;
    for (size_t i = 0; i < samples.size(); ++i) {
        for (char c : samples[i]) seen.set(uint8_t(c));
        look.packed_bits += 8 * double(packed[i]) / double(length * samples.size());
    }
    look.distinct = int(seen.count());
    return look;
}

}  // namespace lithe
