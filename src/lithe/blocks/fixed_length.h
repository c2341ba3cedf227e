// For kinds with parameters by position: a segment that is longer than these is refused.
#pragma once

#include <cstdint>
#include <string>

#include "lithe/base/error.h"

namespace lithe {

inline void check_length(const std::string& kind, int64_t positions, int64_t most) {
    if (positions > most)
        fail_usage(kind + " has parameters for segments of at most " + std::to_string(most) +
                       " positions, and this one has " + std::to_string(positions),
                   "blocks." + kind + ".length", "length = " + std::to_string(positions) + ", or shorter segments");
}

}  // namespace lithe
