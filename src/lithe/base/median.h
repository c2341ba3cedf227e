// The value in the middle: of times measured, which other programs only make longer.
#pragma once

#include <algorithm>
#include <vector>

namespace lithe {

// The upper one of two; 0 for none.
inline double median(std::vector<double> values) {
    if (values.empty()) return 0;
    const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

}  // namespace lithe
