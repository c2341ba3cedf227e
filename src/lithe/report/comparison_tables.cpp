// The tables of a comparison, for text and page alike.
#include <algorithm>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

std::string score_text(const std::optional<double>& score) { return score ? fixed_digits(*score, 4) : "—"; }

}  // namespace

Rows run_rows(const Comparison& comparison) {
    const std::string unit = score_unit(comparison);
    Rows rows = {{"run", unit.empty() ? "score" : unit, "best", "steps", "tokens", "tokens/s"}};
    const bool unspoken = std::any_of(comparison.runs.begin(), comparison.runs.end(),
                                      [](const RunRecord& run) { return run.unspoken_share() > 0; });
    if (unspoken) rows[0].push_back("unspoken");
    for (const Measure& measure : comparison.measures) rows[0].push_back(measure.title);
    for (const RunRecord& run : comparison.runs) {
        rows.push_back({run.name,
                        score_text(run.last_score) + (unit.empty() && run.last_score ? " " + run.score.unit : ""),
                        score_text(run.best_score), std::to_string(run.steps), format_count(double(run.tokens)),
                        format_count(run.tokens_per_second)});
        if (unspoken) rows.back().push_back(three_digits(100 * run.unspoken_share()) + " %");
        for (const Measure& measure : comparison.measures) {
            const auto value = measure.of(run);
            rows.back().push_back(value ? measure.show(*value) : "—");
        }
    }
    return rows;
}

std::string score_unit(const Comparison& comparison) {
    std::string unit;
    for (const RunRecord& run : comparison.runs) {
        if (!run.last_score) continue;
        if (unit.empty()) unit = run.score.unit;
        if (unit != run.score.unit) return "";
    }
    return unit.empty() ? ScoreKind().unit : unit;
}

Rows difference_rows(const Comparison& comparison) {
    Rows rows = {{"setting"}};
    for (const RunRecord& run : comparison.runs) rows[0].push_back(run.name);
    for (const auto& [name, values] : comparison.differences) {
        rows.push_back({name});
        for (const std::string& value : values) rows.back().push_back(value.empty() ? "—" : value);
    }
    return rows;
}

Rows group_rows(const Comparison& comparison, size_t ranking) {
    Rows rows = {{"by settings", "", "lowest to highest seed", "from the best", "difference"}};
    for (const RunGroup& group : comparison.groups) {
        if (group.ranking != ranking) continue;
        if (rows[0][1].empty()) rows[0][1] = group.score.unit;  // the first is scored where any is
        std::string from_best;
        if (group.difference) from_best = (group.score.less_is_better ? "+" : "") + fixed_digits(*group.difference, 4);
        if (group.half) from_best += " ± " + fixed_digits(*group.half, 4);
        const bool several = group.scores.count > 1;
        rows.push_back({group.name, group.scores.count > 0 ? fixed_digits(group.scores.mean, 4) : "—",
                        several ? fixed_digits(group.least, 4) + " to " + fixed_digits(group.most, 4) : "", from_best,
                        verdict_of(group)});
    }
    return rows;
}

std::string ranking_title(const Comparison& comparison, size_t ranking) {
    if (comparison.rankings.size() == 1) return "";
    std::vector<std::string> names;
    for (size_t run : comparison.rankings[ranking].runs) names.push_back(comparison.runs[run].name);
    return "Ranking " + std::to_string(ranking + 1) + ": " + join(names, ", ");
}

std::vector<std::string> front_names(const Comparison& comparison, const Measure& measure, size_t ranking) {
    std::vector<std::string> names;
    const auto rivals = std::count_if(comparison.groups.begin(), comparison.groups.end(), [&](const RunGroup& group) {
        return group.ranking == ranking && group.scores.count > 0;
    });
    if (rivals < 2) return names;
    for (size_t group : comparison.fronts.at(measure.key))
        if (comparison.groups[group].ranking == ranking) names.push_back(comparison.groups[group].name);
    return names;
}

}  // namespace lithe
