// Rows of numbers by time, batch row and head, as kernels of heads take them.
#pragma once

#include <cstdint>

namespace lithe::kernels {

// Rows [time][batch][head] of numbers that lie side by side; distances in numbers.
template <class S> struct HeadRows {
    S* data = nullptr;
    int64_t time = 0, batch = 0, head = 0;
    S* row(int64_t t, int64_t b, int64_t h) const { return data + t * time + b * batch + h * head; }
};

}  // namespace lithe::kernels
