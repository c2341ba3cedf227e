// GPT-2's splitting rule (Radford et al. 2019, encoder.py) as a hand-written scanner: the same pieces as
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// at many times the speed of a regular expression. A bad byte counts as neither letter, number nor space.
#pragma once

#include <cstddef>
#include <string_view>

namespace lithe::tokenize {

inline constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The end of the piece that begins at `at` < text.size(); larger than `at`.
size_t gpt2_next(std::string_view text, size_t at);

}  // namespace lithe::tokenize
