// What exits cost and save: an evaluation for each of several thresholds, how many layers it used, and how fast tokens
// are written so.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "lithe/objectives/evaluate.h"

namespace lithe {

struct ExitPoint {
    std::optional<ExitRule> rule;  // none: all layers
    EvaluationResult result;
    double layers = 0;  // of a position, on average
    double tokens_per_second = 0;
};

class ExitCurve {
 public:
    using Evaluate = std::function<EvaluationResult()>;
    // `evaluate` scores the model as it is then; its text's tokens are read for the speed. All must outlive it.
    ExitCurve(LanguageModel& model, const ScoredText& text, int64_t segment, Evaluate evaluate);
    // All layers first, then from late exits to early ones.
    std::vector<ExitPoint> points(ExitMeasure measure);
    // The fewest layers whose loss is at most `more` above that of all layers, which is points.front(). Tries
    // thresholds between those of the curve, too.
    ExitPoint cheapest(const std::vector<ExitPoint>& points, double more);

 private:
    ExitPoint point(const std::optional<ExitRule>& rule);
    double tokens_per_second() const;
    LanguageModel& model_;
    const ScoredText& text_;
    int64_t segment_;
    Evaluate evaluate_;
};

// Layers that a position went through, on average. `counts`: by exit.
double mean_layers(const Exits& exits, const std::vector<uint64_t>& counts);
// {"confidence:0.9", mean layers, all layers, share of positions by exit}.
nlohmann::ordered_json exits_json(const Exits& exits, const ExitRule& rule, const std::vector<uint64_t>& counts);
// "confidence:0.9, 3.4 of 6 layers".
std::string exits_text(const Exits& exits, const ExitRule& rule, const std::vector<uint64_t>& counts);

}  // namespace lithe
