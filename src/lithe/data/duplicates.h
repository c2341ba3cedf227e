// Finds documents that were there before: exactly (a 64-bit hash of the text without outer white space), or nearly
// (MinHash of word 5-grams, 16 bands of 4: Broder 1997; pairs of Jaccard similarity 0.8 are found with probability
// 0.9998, of 0.5 with 0.64, of 0.3 with 0.12; candidates are confirmed at an estimated similarity of 0.7).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

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
    bool near_;
    std::unordered_set<uint64_t> exact_;
    std::vector<Signature> signatures_;
    std::unordered_map<uint64_t, std::vector<uint32_t>> bands_;
    uint64_t exact_found_ = 0, near_found_ = 0;
};

}  // namespace lithe
