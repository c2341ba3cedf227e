// Classes of characters as sacremoses 0.1.1 has them. They are Unicode's of 2015 with gaps: no ideographs, no Hangul,
// and beyond U+FFFF nothing but some signs of Indic scripts.
#pragma once

#include <cstdint>

namespace lithe::tokenize {

bool is_moses_alphanumeric(uint32_t c);
bool is_moses_letter(uint32_t c);  // those but decimal digits
bool is_moses_number(uint32_t c);
bool is_moses_lower(uint32_t c);

}  // namespace lithe::tokenize
