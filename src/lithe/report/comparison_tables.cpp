// The tables of a comparison, for text and page alike.
#include <algorithm>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

std::string bits_text(const std::optional<double>& bits) { return bits ? fixed_digits(*bits, 4) : "—"; }

}  // namespace

Rows run_rows(const Comparison& comparison) {
    Rows rows = {{"run", "bits/byte", "best", "steps", "tokens", "tokens/s"}};
    const bool unspoken = std::any_of(comparison.runs.begin(), comparison.runs.end(),
                                      [](const RunRecord& run) { return run.unspoken_share() > 0; });
    if (unspoken) rows[0].push_back("unspoken");
    for (const Measure& measure : comparison.measures) rows[0].push_back(measure.title);
    for (const RunRecord& run : comparison.runs) {
        rows.push_back({run.name, bits_text(run.last_bits), bits_text(run.best_bits), std::to_string(run.steps),
                        format_count(double(run.tokens)), format_count(run.tokens_per_second)});
        if (unspoken) rows.back().push_back(three_digits(100 * run.unspoken_share()) + " %");
        for (const Measure& measure : comparison.measures) {
            const auto value = measure.of(run);
            rows.back().push_back(value ? measure.show(*value) : "—");
        }
    }
    return rows;
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
    Rows rows = {{"by settings", "bits/byte", "lowest to highest seed", "from the best", "difference"}};
    for (const RunGroup& group : comparison.groups) {
        if (group.ranking != ranking) continue;
        std::string from_best = group.difference ? "+" + fixed_digits(*group.difference, 4) : "";
        if (group.half) from_best += " ± " + fixed_digits(*group.half, 4);
        const bool several = group.bits.count > 1;
        rows.push_back({group.name, group.bits.count > 0 ? fixed_digits(group.bits.mean, 4) : "—",
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
        return group.ranking == ranking && group.bits.count > 0;
    });
    if (rivals < 2) return names;
    for (size_t group : comparison.fronts.at(measure.key))
        if (comparison.groups[group].ranking == ranking) names.push_back(comparison.groups[group].name);
    return names;
}

}  // namespace lithe
