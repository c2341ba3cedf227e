// train.recompute: which activations a training pass does not keep and computes again in the backward pass.
#pragma once

#include <cstdint>
#include <string>

#include "lithe/base/choice.h"

namespace lithe {

enum class RecomputeMethod { none, uniform, optimal, selective, memory };
constexpr auto names_of(RecomputeMethod) {
    using enum RecomputeMethod;
    return std::to_array<Named<RecomputeMethod>>(
        {{none, "none"}, {uniform, "uniform"}, {optimal, "optimal"}, {selective, "selective"}, {memory, "memory"}});
}

struct Recompute {
    RecomputeMethod method = RecomputeMethod::none;
    int64_t number = 0;  // uniform: layers of a group; optimal: inputs that are kept at most; 0: the square root of all
    bool operator==(const Recompute&) const = default;
};

// "none", "uniform:K", "uniform", "optimal:SLOTS", "optimal", "selective" or "memory". Throws usage for another text.
Recompute parse_recompute(const std::string& text);
std::string to_string(const Recompute& recompute);

}  // namespace lithe
