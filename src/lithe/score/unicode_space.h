// Words between white space as Python's str.split() finds them, which published scores were computed with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lithe {

// Bytes of the white space that the text begins with: 0, or those of one code point.
size_t leading_space(std::string_view text);
std::vector<std::string_view> words_of(std::string_view text);

}  // namespace lithe
