#include "lithe/data/duplicates.h"

#include <algorithm>

#include "lithe/base/file.h"
#include "lithe/base/rng.h"
#include "lithe/tokenize/words.h"

namespace lithe {
namespace {

constexpr size_t kShingle = 5;          // words
constexpr size_t kMostCandidates = 32;  // looked at per band

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

}  // namespace

DuplicateFinder::Signature DuplicateFinder::signature(std::string_view document) {
    std::vector<uint64_t> words;
    tokenize::each_word(
        document, [&](std::string_view word) { words.push_back(hash_bytes(word)); }, [] {});
    Signature smallest;
    smallest.fill(~uint32_t(0));
    const size_t shingles = words.size() < kShingle ? 1 : words.size() - kShingle + 1;
    for (size_t i = 0; i < shingles; ++i) {
        uint64_t shingle = 0;
        for (size_t j = i; j < std::min(words.size(), i + kShingle); ++j) shingle = combine_key(shingle, words[j]);
        // one strong hash, then a multiplicative family on it
        for (int h = 0; h < kHashes; ++h) {
            const uint64_t a = mix64(uint64_t(h) * 2 + 1) | 1;
            smallest[size_t(h)] = std::min(smallest[size_t(h)], uint32_t((shingle * a + mix64(a)) >> 32));
        }
    }
    return smallest;
}

bool DuplicateFinder::seen(std::string_view document) {
    const std::string_view text = trimmed(document);
    if (!exact_.insert(hash_bytes(text)).second) {
        ++exact_found_;
        return true;
    }
    if (!near_) return false;
    const Signature mine = signature(text);
    std::array<uint64_t, kBands> keys{};
    for (int b = 0; b < kBands; ++b) {
        keys[size_t(b)] = combine_key(0, uint64_t(b));
        for (int r = 0; r < kRows; ++r) keys[size_t(b)] = combine_key(keys[size_t(b)], mine[size_t(b * kRows + r)]);
        const auto found = bands_.find(keys[size_t(b)]);
        if (found == bands_.end()) continue;
        for (size_t i = 0; i < std::min(found->second.size(), kMostCandidates); ++i) {
            const Signature& other = signatures_[found->second[i]];
            int equal = 0;
            for (int h = 0; h < kHashes; ++h) equal += mine[size_t(h)] == other[size_t(h)];
            if (equal >= kSimilar * kHashes) {
                ++near_found_;
                return true;
            }
        }
    }
    for (uint64_t key : keys)
        if (auto& bucket = bands_[key]; bucket.size() < kMostCandidates) bucket.push_back(uint32_t(signatures_.size()));
    signatures_.push_back(mine);
    return false;
}

}  // namespace lithe
