// Tables of numbers as pictures: a pixel for each.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace lithe {

// An <img> of rows x columns numbers, its own file inside the page. 0 is white, `most` blue, -`most` orange; what lies
// beyond looks as they do. `text`: what it shows, for those who do not see it.
std::string picture_html(std::span<const float> numbers, int64_t rows, int64_t columns, double most,
                         const std::string& text);

}  // namespace lithe
