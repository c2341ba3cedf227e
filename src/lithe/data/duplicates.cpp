#include "lithe/data/duplicates.h"

#include <algorithm>

#include "lithe/base/file.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"
#include "lithe/tokenize/words.h"

namespace lithe {
namespace {

constexpr size_t kShingle = 5;  // words

// The table has no room for this one key.
uint64_t key_of(uint64_t hash) { return hash == ~uint64_t(0) ? 0 : hash; }

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
    const uint64_t hash = key_of(hash_bytes(text));
    if (exact_.find(hash)) {
        ++exact_found_;
        return true;
    }
    exact_.insert(hash, 1);
    if (!near_ || !seen_nearly(text)) return false;
    ++near_found_;
    return true;
}

bool DuplicateFinder::seen_nearly(std::string_view text) {
    const Signature mine = signature(text);
    std::array<uint64_t, kBands> keys{};
    for (size_t b = 0; b < kBands; ++b) {
        uint64_t key = combine_key(0, b);
        for (size_t r = 0; r < kRows; ++r) key = combine_key(key, mine[b * kRows + r]);
        keys[b] = key_of(key);
        const uint64_t* candidate = bands_.find(keys[b]);
        if (!candidate) continue;
        const Signature& other = signatures_[*candidate];
        int equal = 0;
        for (size_t h = 0; h < kHashes; ++h) equal += mine[h] == other[h];
        if (equal >= kSimilar * kHashes) return true;
    }
    for (uint64_t key : keys) bands_.insert(key, signatures_.size());
    signatures_.push_back(mine);
    return false;
}

}  // namespace lithe
