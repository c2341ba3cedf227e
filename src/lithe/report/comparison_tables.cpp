// The tables of a comparison, for text and page alike.
#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

std::string bits_text(const std::optional<double>& bits) { return bits ? fixed_digits(*bits, 4) : "—"; }

}  // namespace

std::string verdict_of(const RunGroup& group) {
    if (!group.difference) return group.bits.count > 0 ? "best" : "not evaluated";
    if (!group.several_seeds) return "one run on a side: no test";
    if (!group.p) return "seeds do not differ: no test";
    return (*group.p < 0.05 ? "real, p " : "not shown to be real, p ") + p_text(*group.p);
}

Rows run_rows(const Comparison& comparison) {
    Rows rows = {{"run", "bits/byte", "best", "steps", "tokens", "tokens/s"}};
    for (const Measure& measure : comparison.measures) rows[0].push_back(measure.title);
    for (const RunRecord& run : comparison.runs) {
        rows.push_back({run.name, bits_text(run.last_bits), bits_text(run.best_bits), std::to_string(run.steps),
                        format_count(double(run.tokens)), format_count(run.tokens_per_second)});
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

Rows group_rows(const Comparison& comparison) {
    Rows rows = {{"by settings", "bits/byte", "from the best", "difference"}};
    for (const RunGroup& group : comparison.groups) {
        std::string bits = group.bits.count > 0 ? fixed_digits(group.bits.mean, 4) : "—";
        if (group.bits.count > 1) bits += " ± " + fixed_digits(group.bits.half, 4);
        rows.push_back(
            {group.name, bits, group.difference ? "+" + fixed_digits(*group.difference, 4) : "", verdict_of(group)});
    }
    return rows;
}

}  // namespace lithe
