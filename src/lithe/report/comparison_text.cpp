#include <algorithm>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// Code points, so that columns with "±" and "—" line up.
size_t width_of(const std::string& text) {
    return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string table(const Rows& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()), 0);
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    }
    std::string text;
    for (const auto& row : rows) {
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
                 {run.score.name, optional_json(run.last_score)},
                 {"best_" + run.score.name, optional_json(run.best_score)},
                 {"less_is_better", run.score.less_is_better},
                 {"unspoken_share", run.unspoken_share()},
                 {"protocol", run.protocol()},
                 {"steps", run.steps},
                 {"tokens", run.tokens},
                 {"tokens_per_second", run.tokens_per_second}};
    for (const Measure& measure : comparison.measures) json[measure.key] = optional_json(measure.of(run));
    if (energy_of(run, comparison.prices)) json["energy"] = run.joules ? "measured" : "estimated from stated watts";
    json["machine"] = run.machine;
    return json;
}

Json group_json(const Comparison& comparison, const RunGroup& group) {
    return {{"name", group.name},
            {"runs", names_of(comparison, group.runs)},
            {"ranking", group.ranking + 1},
            {group.score.name, group.scores.count > 0 ? Json(group.scores.mean) : Json()},
            {"half_interval_95", group.scores.count > 1 ? Json(group.scores.half) : Json()},
            {"difference", optional_json(group.difference)},
            {"difference_half_interval_95", optional_json(group.half)},
            {"p", optional_json(group.p)},
            {"verdict", verdict_of(group)},
            {"sentence", group.sentence}};
}

// One ranking: its groups, a sentence for each, and which are not beaten.
std::string ranking_text(const Comparison& comparison, size_t ranking) {
    std::string text = "\n";
    if (const std::string title = ranking_title(comparison, ranking); !title.empty()) text += title + "\n";
    if (comparison.groups.size() > 1) text += table(group_rows(comparison, ranking)) + "\n";
    for (const RunGroup& group : comparison.groups)
        if (group.ranking == ranking && comparison.groups.size() > 1) text += group.sentence + "\n";
    for (const Measure& measure : comparison.measures)
        if (const auto names = front_names(comparison, measure, ranking); !names.empty())
            text += "not beaten in score and " + measure.title + ": " + join(names, ", ") + "\n";
    return text;
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
    std::string text = table(run_rows(comparison));
    if (!comparison.differences.empty()) text += "\n" + table(difference_rows(comparison));
    for (size_t ranking = 0; ranking < comparison.rankings.size(); ++ranking) text += ranking_text(comparison, ranking);
    if (comparison.groups.size() > 1)
        text += "\n" + equality_text() + " ± is the 95 % interval of the difference, p by Welch's test.\n";
    for (const std::string& warning : comparison.warnings) text += "note: " + warning + "\n";
    return text;
}

Json comparison_json(const Comparison& comparison) {
    Json json;
    json["runs"] = Json::array();
    for (const RunRecord& run : comparison.runs) json["runs"].push_back(run_json(comparison, run));
    json["differences"] = Json::object();
    for (const auto& [name, values] : comparison.differences) json["differences"][name] = values;
    json["rankings"] = Json::array();
    for (const Ranking& ranking : comparison.rankings)
        json["rankings"].push_back({{"runs", names_of(comparison, ranking.runs)}, {"apart", ranking.apart}});
    json["groups"] = Json::array();
    for (const RunGroup& group : comparison.groups) json["groups"].push_back(group_json(comparison, group));
    json["fronts"] = Json::object();
    for (const Measure& measure : comparison.measures) {
        json["fronts"][measure.key] = Json::array();
        for (size_t group : comparison.fronts.at(measure.key))
            json["fronts"][measure.key].push_back(comparison.groups[group].name);
    }
    json["equal_within"] = {{"cost", kEqualCost}, {"score", kEqualLoss}};
    json["notes"] = comparison.warnings;
    return json;
}

}  // namespace lithe
