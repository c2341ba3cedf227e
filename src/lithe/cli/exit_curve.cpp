#include "lithe/cli/exit_curve.h"

#include <algorithm>
#include <numeric>

#include "lithe/base/error.h"
#include "lithe/base/timer.h"
#include "lithe/infer/session.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

// From late exits to early ones.
std::vector<double> thresholds_of(ExitMeasure measure, size_t exits) {
    switch (measure) {
        case ExitMeasure::confidence: return {0.999, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5, 0.3};
        case ExitMeasure::entropy: return {0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2};
        case ExitMeasure::patience: break;
    }
    std::vector<double> counts;
    for (size_t times = exits - 1; times-- > 1;) counts.push_back(double(times));
    return counts;
}

}  // namespace

double mean_layers(const Exits& exits, const std::vector<uint64_t>& counts) {
    double positions = 0;
    double layers = 0;
    for (size_t exit = 0; exit < counts.size(); ++exit) {
        positions += double(counts[exit]);
        layers += double(counts[exit]) * double(exits.depth(exit));
    }
    return layers / std::max(1.0, positions);
}

nlohmann::ordered_json exits_json(const Exits& exits, const ExitRule& rule, const std::vector<uint64_t>& counts) {
    nlohmann::ordered_json json = {{"rule", to_string(rule)},
                                   {"layers", mean_layers(exits, counts)},
                                   {"all_layers", exits.depth(exits.count() - 1)}};
    const double positions = double(std::accumulate(counts.begin(), counts.end(), uint64_t(0)));
    for (size_t exit = 0; exit < counts.size(); ++exit)
        json["by_exit"].push_back({{"layers", exits.depth(exit)}, {"share", double(counts[exit]) / positions}});
    return json;
}

std::string exits_text(const Exits& exits, const ExitRule& rule, const std::vector<uint64_t>& counts) {
    return to_string(rule) + ", " + fixed_digits(mean_layers(exits, counts), 2) + " of " +
           std::to_string(exits.depth(exits.count() - 1)) + " layers";
}

ExitCurve::ExitCurve(LanguageModel& model, const ScoredText& text, int64_t segment, Evaluate evaluate)
    : model_(model),
      text_(text),
      segment_(segment),
      evaluate_(std::move(evaluate)) {}

ExitPoint ExitCurve::point(const std::optional<ExitRule>& rule) {
    const auto counts = std::make_shared<ExitCounts>();
    if (rule) model_.set_leaving(*rule, counts);
    ExitPoint point{rule, evaluate_(), double(model_.exits()->depth(model_.exits()->count() - 1))};
    if (rule) point.layers = mean_layers(*model_.exits(), counts->counts());
    point.tokens_per_second = tokens_per_second();
    return point;
}

// Of a text that stands there, so that every threshold reads the same tokens.
double ExitCurve::tokens_per_second() const {
    constexpr uint64_t kPrompt = 32;
    constexpr uint64_t kMost = 512;
    const uint64_t there = std::min(text_.tokens().size(), kPrompt + kMost);
    std::vector<int64_t> ids(size_t(there), 0);
    text_.tokens().read(0, there, ids.data());
    const auto prompt = int64_t(std::min(kPrompt, there / 2));
    Session session(model_, {.segment = segment_});
    session.admit({{ids.begin(), ids.begin() + prompt}});
    const Timer timer;
    int64_t steps = 0;
    for (auto at = size_t(prompt); at < ids.size() && !session.full(0); ++at, ++steps) session.step({&ids[at], 1});
    return double(steps) / timer.seconds();
}

std::vector<ExitPoint> ExitCurve::points(ExitMeasure measure) {
    std::vector<ExitPoint> list = {point(std::nullopt)};
    for (const double threshold : thresholds_of(measure, model_.exits()->count()))
        list.push_back(point(ExitRule{measure, threshold}));
    return list;
}

ExitPoint ExitCurve::cheapest(const std::vector<ExitPoint>& points, double more) {
    const double most = points.front().result.loss + more;
    size_t within = 0;
    while (within + 1 < points.size() && points[within + 1].result.loss <= most) ++within;
    ExitPoint best = points[within];
    const bool last = within + 1 == points.size();
    if (last || !best.rule || best.rule->measure == ExitMeasure::patience) return best;
    constexpr int kHalvings = 4;
    double inside = best.rule->threshold;
    double outside = points[within + 1].rule->threshold;
    for (int i = 0; i < kHalvings; ++i) {
        const double middle = (inside + outside) / 2;
        ExitPoint tried = point(ExitRule{best.rule->measure, middle});
        const bool holds = tried.result.loss <= most;
        (holds ? inside : outside) = middle;
        if (holds && tried.layers < best.layers) best = std::move(tried);
    }
    return best;
}

}  // namespace lithe
