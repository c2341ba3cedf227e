// How the result of a search compares with layouts that nobody searched for, all trained equally long.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lithe/base/score.h"

namespace lithe {

struct TrainedLayout {
    std::string origin;  // "found", "baseline", "random"
    std::string layout;
    double score = 0;
    double cost = 0;  // 0: not known
};

struct SearchRank {
    size_t place = 1, of = 1;  // the first is the best
    std::string sentence;      // "The result is only fourth of five …"
};

// The first is the result. nullopt with fewer than two: there is nothing to compare it with. Equals share the better
// place.
std::optional<SearchRank> rank_of_result(const std::vector<TrainedLayout>& layouts, const ScoreKind& kind);

}  // namespace lithe
