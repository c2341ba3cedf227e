#include <algorithm>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/numbers.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

// Code points, so that columns with "±" and "—" line up.
size_t width_of(const std::string& text) {
    return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string table(const std::vector<Row>& rows) {
    std::vector<size_t> widths;
    for (const Row& row : rows) {
        widths.resize(std::max(widths.size(), row.size()), 0);
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::string text;
    for (const Row& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i)
            line += row[i] + std::string(i + 1 < row.size() ? widths[i] - width_of(row[i]) + 2 : 0, ' ');
        text += line + "\n";
    }
    return text;
}

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::vector<std::string> names_of(const Comparison& comparison, const std::vector<size_t>& runs) {
    std::vector<std::string> names;
    for (size_t run : runs) names.push_back(comparison.runs[run].name);
    return names;
}

Json run_json(const Comparison& comparison, const RunRecord& run) {
    Json json = {{"name", run.name},
                 {"folder", run.folder},
                 {"bits_per_byte", optional_json(run.last_bits)},
                 {"best_bits_per_byte", optional_json(run.best_bits)},
                 {"protocol", run.protocol},
                 {"steps", run.steps},
                 {"tokens", run.tokens},
                 {"tokens_per_second", run.tokens_per_second}};
    for (const Measure& measure : comparison.measures) json[measure.key] = optional_json(measure.of(run));
    if (energy_of(run, comparison.prices)) json["energy"] = run.joules ? "measured" : "estimated from stated watts";
    json["machine"] = run.machine;
    return json;
}

}  // namespace

std::string verdict_of(const RunGroup& group) {
    if (!group.difference) return group.bits.count > 0 ? "best" : "not evaluated";
    if (!group.p) return "one run on a side: no test";
    return (*group.p < 0.05 ? "real, p " : "not shown to be real, p ") + p_text(*group.p);
}

std::string comparison_text(const Comparison& comparison) {
    std::vector<Row> rows(1, Row{"run", "bits/byte", "best", "steps", "tokens", "tokens/s"});
    for (const Measure& measure : comparison.measures) rows[0].push_back(measure.title);
    for (const RunRecord& run : comparison.runs) {
        Row row = {run.name,
                   run.last_bits ? fixed_digits(*run.last_bits, 4) : "—",
                   run.best_bits ? fixed_digits(*run.best_bits, 4) : "—",
                   std::to_string(run.steps),
                   format_count(double(run.tokens)),
                   format_count(run.tokens_per_second)};
        for (const Measure& measure : comparison.measures) {
            const auto value = measure.of(run);
            row.push_back(value ? measure.show(*value) : "—");
        }
        rows.push_back(std::move(row));
    }
    std::string text = table(rows);
    if (!comparison.differences.empty()) {
        std::vector<Row> settings(1, Row{"setting"});
        for (const RunRecord& run : comparison.runs) settings[0].push_back(run.name);
        for (const auto& [name, values] : comparison.differences) {
            settings.push_back({name});
            for (const std::string& value : values) settings.back().push_back(value.empty() ? "—" : value);
        }
        text += "\n" + table(settings);
    }
    if (comparison.groups.size() > 1) {
        std::vector<Row> groups(1, Row{"by settings", "bits/byte", "from the best", "difference"});
        for (const RunGroup& group : comparison.groups)
            groups.push_back({group.name,
                              group.bits.count == 0
                                  ? "—"
                                  : fixed_digits(group.bits.mean, 4) +
                                        (group.bits.count > 1 ? " ± " + fixed_digits(group.bits.half, 4) : ""),
                              group.difference ? "+" + fixed_digits(*group.difference, 4) : "", verdict_of(group)});
        text += "\n" + table(groups) + "± is the 95 % interval of the mean by Student's t; p by Welch's test.\n";
    }
    text += "\n";
    for (const Measure& measure : comparison.measures)
        text += "not beaten in bits per byte and " + measure.title + ": " +
                join(names_of(comparison, comparison.fronts.at(measure.key)), ", ") + "\n";
    for (const std::string& warning : comparison.warnings) text += "note: " + warning + "\n";
    return text;
}

Json comparison_json(const Comparison& comparison) {
    Json json;
    json["runs"] = Json::array();
    for (const RunRecord& run : comparison.runs) json["runs"].push_back(run_json(comparison, run));
    json["differences"] = Json::object();
    for (const auto& [name, values] : comparison.differences) json["differences"][name] = values;
    json["groups"] = Json::array();
    for (const RunGroup& group : comparison.groups)
        json["groups"].push_back({{"name", group.name},
                                  {"runs", names_of(comparison, group.runs)},
                                  {"bits_per_byte", group.bits.count > 0 ? Json(group.bits.mean) : Json()},
                                  {"half_interval_95", group.bits.count > 1 ? Json(group.bits.half) : Json()},
                                  {"difference", optional_json(group.difference)},
                                  {"p", optional_json(group.p)},
                                  {"verdict", verdict_of(group)}});
    json["fronts"] = Json::object();
    for (const Measure& measure : comparison.measures)
        json["fronts"][measure.key] = names_of(comparison, comparison.fronts.at(measure.key));
    json["notes"] = comparison.warnings;
    return json;
}

}  // namespace lithe
