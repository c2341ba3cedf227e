#include "lithe/report/numbers.h"

#include <cstdio>

namespace lithe {

std::string fixed_digits(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string three_digits(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
}

std::string p_text(double p) { return p < 0.001 ? "< 0.001" : fixed_digits(p, 3); }

}  // namespace lithe
