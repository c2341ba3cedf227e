// Numbers as reports show them.
#pragma once

#include <string>

namespace lithe {

std::string fixed_digits(double value, int digits);  // 1.2345 with four: "1.2345"
std::string three_digits(double value);              // three significant digits
std::string p_text(double p);                        // "0.012", "< 0.001"

}  // namespace lithe
