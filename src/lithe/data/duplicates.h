// Finds documents that were there before: exactly (a 64-bit hash of the text without outer white space), or nearly
// (MinHash of word 5-grams, 16 bands of 4: Broder 1997; pairs of Jaccard similarity 0.8 are found with probability
// 0.9998, of 0.5 with 0.64, of 0.3 with 0.12; candidates are confirmed at an estimated similarity of 0.7). A document
// takes about 40 bytes of memory, with similar ones about 1 kB.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lithe/tokenize/vocabulary.h"

namespace lithe {

class DuplicateFinder {
 public:
    explicit DuplicateFinder(bool near) : near_(near) {}
    // Whether an equal (or nearly equal) document was given before; if not, it is remembered.
    bool seen(std::string_view document);
    uint64_t exact() const { return exact_found_; }
    uint64_t near() const { return near_found_; }

    static constexpr int kBands = 16, kRows = 4, kHashes = kBands * kRows;
    static constexpr double kSimilar = 0.7;
    using Signature = std::array<uint32_t, kHashes>;
    static Signature signature(std::string_view document);

 private:
    bool seen_nearly(std::string_view text);
    bool near_;
    tokenize::FlatMap exact_;  // hashes of texts
    tokenize::FlatMap bands_;  // hash of a band of a signature -> the first document that has it
    std::vector<Signature> signatures_;
    uint64_t exact_found_ = 0, near_found_ = 0;
};

}  // namespace lithe
