// Lengths of n-grams as model.ngrams.lengths has them, "2-6, 8, 12"; empty: none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lithe {

constexpr int64_t kMostNgram = 64;

// Rising, from 2 on. Throws usage for another text.
std::vector<int64_t> parse_ngram_lengths(const std::string& text);
// 0 where there are none.
int64_t longest_ngram(const std::string& text);
// As short as it can be: "2-6, 8".
std::string ngram_lengths_text(const std::vector<int64_t>& lengths);

}  // namespace lithe
