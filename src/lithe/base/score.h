// What a model is judged by, under the name, unit and direction that its run states. Reports, comparisons and searches
// know these and no kind of score.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace lithe {

// The term of a training loss that is the tokens', beside those that blocks add.
inline constexpr const char* kCrossEntropy = "cross_entropy";

struct ScoreKind {
    std::string name = "bits_per_byte", unit = "bits per byte";
    bool less_is_better = true;

    bool better(double a, double b) const { return less_is_better ? a < b : a > b; }
    // For what minimises: less of it is always better.
    double as_loss(double value) const { return less_is_better ? value : -value; }
    bool operator==(const ScoreKind&) const = default;
};

struct Score {
    ScoreKind kind;
    double value = 0;
};

// {"name": …, "unit": …, "less_is_better": …, "value": …}
nlohmann::ordered_json to_json(const Score& score);
// The score in a line of a run: its "score", or of runs from before there were others, its "bits_per_byte". nullopt
// where there is none, or no number.
std::optional<Score> score_of(const nlohmann::json& json);

}  // namespace lithe
