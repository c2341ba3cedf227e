#include "lithe/report/search_page.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/report/numbers.h"
#include "lithe/report/page.h"
#include "lithe/report/run_record.h"
#include "lithe/report/statistics.h"
#include "lithe/spec/config_search.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

Json read_json(const std::string& path) {
    return fs::exists(path) ? try_parse_json<Json>(read_file(path, 64 << 20)).value_or(Json()) : Json();
}

// Colour of a candidate, by order of first appearance in any place.
class Colours {
 public:
    int of(const std::string& name) { return known_.try_emplace(name, int(known_.size())).first->second % 8; }
    const std::map<std::string, int>& all() const { return known_; }

 private:
    std::map<std::string, int> known_;
};

// "latency, ms"
std::string cost_name(const std::string& cost) {
    switch (value_of<CostUnit>(cost).value_or(CostUnit::none)) {
        case CostUnit::latency: return "latency, ms";
        case CostUnit::flops: return "FLOPs per token";
        case CostUnit::memory: return "memory, bytes";
        case CostUnit::parameters:
        case CostUnit::none: break;
    }
    return cost;
}

constexpr double kLeft = 40, kWidth = 560, kRow = 20, kGap = 4;

// One band per place, from left to right the progress of the search, candidates stacked by their probability.
std::string bands(const std::vector<Json>& lines, const Json& candidates, Colours& colours) {
    const size_t places = candidates.size(), stride = lines.size() / 120 + 1;
    const double height = double(places) * (kRow + kGap) + 24;
    std::string svg = "<svg viewBox=\"0 0 640 " + fixed_digits(height, 0) +
                      "\" role=\"img\"><title>Probability of each candidate</title>";
    std::vector<size_t> shown;
    for (size_t i = 0; i < lines.size(); i += stride) shown.push_back(i);
    if (shown.back() + 1 != lines.size()) shown.push_back(lines.size() - 1);
    auto across = [&](size_t i) { return kLeft + kWidth * double(i) / double(std::max<size_t>(1, shown.size() - 1)); };
    for (size_t place = 0; place < places; ++place) {
        const double top = double(place) * (kRow + kGap);
        svg += "<text class=\"tick\" text-anchor=\"end\" x=\"34\" y=\"" + fixed_digits(top + 14, 0) + "\">" +
               std::to_string(place + 1) + "</text>";
        std::vector<double> below(shown.size(), 0);
        for (size_t c = 0; c < candidates[place].size(); ++c) {
            std::string upper, lower;
            for (size_t i = 0; i < shown.size(); ++i) {
                const double p = lines[shown[i]]["probabilities"][place][c].get<double>();
                auto point = [&](double height_share) {
                    return fixed_digits(across(i), 1) + "," + fixed_digits(top + kRow * height_share, 1) + " ";
                };
                upper += point(below[i]);
                lower = point(below[i] + p) + lower;
                below[i] += p;
            }
            const std::string name = candidates[place][c].get<std::string>();
            svg += "<polygon class=\"f" + std::to_string(colours.of(name)) + "\" points=\"" + upper + lower +
                   "\"><title>" + escape_html(name) + "</title></polygon>";
        }
    }
    return svg + "<text class=\"tick\" x=\"40\" y=\"" + fixed_digits(height - 6, 0) +
           "\">start of the updates of choices</text><text class=\"tick\" text-anchor=\"end\" x=\"600\" y=\"" +
           fixed_digits(height - 6, 0) + "\">end</text></svg>";
}

bool fits(const std::vector<Json>& lines, const Json& candidates) {
    if (lines.empty() || !candidates.is_array() || candidates.empty()) return false;
    return std::all_of(lines.begin(), lines.end(), [&](const Json& line) {
        if (!line.contains("probabilities") || line["probabilities"].size() != candidates.size()) return false;
        for (size_t place = 0; place < candidates.size(); ++place)
            if (line["probabilities"][place].size() != candidates[place].size()) return false;
        return true;
    });
}

std::string choices(const std::string& folder, const Json& costs) {
    const auto lines = read_json_lines(folder + "/supernet/choices.jsonl");
    const Json candidates = costs.is_object() && costs.contains("candidates") ? costs["candidates"] : Json();
    if (!fits(lines, candidates)) return "";
    Colours colours;
    const std::string picture = bands(lines, candidates, colours);
    std::string html =
        "<h2>Choices over time</h2><p class=\"soft\">One row per searched place, from the bottom of the "
        "stack. The height of a colour is the probability of its candidate:";
    for (const auto& [name, colour] : colours.all())
        html += " <svg style=\"width:.8rem;height:.8rem\" viewBox=\"0 0 9 9\"><rect class=\"f" +
                std::to_string(colour % 8) + "\" width=\"9\" height=\"9\"/></svg> " + escape_html(name);
    html += "</p>" + picture;
    Curve cost{"", {}, true, 0};
    for (const Json& line : lines)
        cost.points.push_back({number_of(line, "progress"), number_of(line, "expected_cost")});
    if (costs.value("cost", "none") != "none")
        html += chart_html(
            {"Expected " + cost_name(costs.value("cost", "")) + " over time", "share of the budget spent", {cost}});
    return html;
}

std::string cost_table(const Json& costs) {
    if (!costs.is_object() || costs.value("cost", "none") == "none" || !costs.contains("slots")) return "";
    std::map<std::string, double> known;
    const Json &slots = costs.at("slots"), &candidates = costs.at("candidates");
    for (size_t place = 0; place < slots.size() && place < candidates.size(); ++place)
        for (size_t c = 0; c < slots[place].size() && c < candidates[place].size(); ++c)
            known[candidates[place][c].get<std::string>()] = slots[place][c].get<double>();
    std::vector<std::vector<std::string>> rows(1, {"candidate", cost_name(costs.value("cost", ""))});
    for (const auto& [name, cost] : known) rows.push_back({name, three_digits(cost)});
    rows.push_back({"all that is not searched", three_digits(number_of(costs, "base"))});
    return "<h2>What candidates cost</h2>" + table_html(rows);
}

double value_of(const Json& trial) { return score_of(trial).value_or(Score()).value; }

double loss_of(const Json& trial) {
    const Score score = score_of(trial).value_or(Score());
    return score.kind.as_loss(score.value);
}

std::string trials(const std::string& folder, const Json& costs) {
    auto lines = read_json_lines(folder + "/trials.jsonl");
    if (lines.empty()) return "";
    std::stable_sort(lines.begin(), lines.end(), [](const Json& a, const Json& b) {
        if (number_of(a, "tokens") != number_of(b, "tokens")) return number_of(a, "tokens") > number_of(b, "tokens");
        return loss_of(a) < loss_of(b);
    });
    const ScoreKind kind = score_of(lines[0]).value_or(Score()).kind;
    const bool priced = costs.is_object() && costs.value("cost", "none") != "none";
    std::vector<std::vector<std::string>> rows(1, {"trial", "layout", kind.unit, "tokens", "time", "parameters"});
    if (priced) rows[0].push_back(cost_name(costs.value("cost", "")));
    Curve dots{"", {}, false, 1}, front{"", {}, true, 0};
    const double most = number_of(lines[0], "tokens");
    for (const Json& line : lines) {
        rows.push_back({line.value("origin", "") + " " + std::to_string(count_of(line, "number")),
                        line.value("layout", ""), fixed_digits(value_of(line), 4),
                        format_count(number_of(line, "tokens")), format_seconds(number_of(line, "seconds")),
                        format_count(number_of(line, "parameters"))});
        if (priced) rows.back().push_back(three_digits(number_of(line, "cost")));
        if (number_of(line, "tokens") == most)
            dots.points.push_back({priced ? number_of(line, "cost") : number_of(line, "parameters"), value_of(line),
                                   lines.size() <= 12 ? line.value("layout", "") : ""});
    }
    std::vector<Trade> trades;
    for (const CurvePoint& point : dots.points) trades.push_back({point.x, kind.as_loss(point.y)});
    for (size_t place : unbeaten(trades))
        front.points.push_back({trades[place].cost, kind.as_loss(trades[place].loss)});
    const std::string against = priced ? cost_name(costs.value("cost", "")) : "parameters";
    return "<h2>Trials</h2>" + chart_html({capitalized(kind.unit) + " against " + against, against, {front, dots}}) +
           "<p class=\"soft\">Full trials, each of one seed; the line joins those that no other beats in both. " +
           equality_text() + "</p>" + table_html(rows);
}

// How the result compares, and what was left out.
std::string sentences(const Json& result) {
    if (!result.is_object()) return "";
    std::string html;
    if (result.contains("rank") && result["rank"].is_object())
        html += "<p><b>" + escape_html(result["rank"].value("sentence", "")) + "</b></p>";
    if (result.contains("notes") && result["notes"].is_array())
        for (const Json& note : result["notes"])
            if (note.is_string()) html += "<p><b>Note:</b> " + escape_html(note.get<std::string>()) + "</p>";
    return html;
}

std::string file_text(const std::string& path, const std::string& title) {
    if (!fs::exists(path)) return "";
    return "<h2>" + title + "</h2><pre>" + escape_html(read_file(path, 1 << 20)) + "</pre>";
}

std::string page(const std::string& folder) {
    const Json result = read_json(folder + "/search.json"), costs = read_json(folder + "/costs.json");
    std::string html = page_head("Search: " + fs::path(folder).lexically_normal().filename().string()) + "<table>";
    if (result.is_object()) {
        html += table_row("found", result.value("layout", ""));
        html += table_row("searched", result.value("searched", "")) + table_row("method", result.value("method", ""));
        if (result.value("cost_of", "none") != "none")
            html += table_row(
                cost_name(result.value("cost_of", "")),
                three_digits(number_of(result, "cost")) +
                    (result.contains("budget") ? " of at most " + three_digits(number_of(result, "budget")) : ""));
        if (const auto score = score_of(result)) html += table_row(score->kind.unit, fixed_digits(score->value, 4));
    } else {
        html += table_row("state", "not finished");
    }
    html += "</table>" + sentences(result) + choices(folder, costs) + cost_table(costs) + trials(folder, costs);
    return html + file_text(folder + "/found.toml", "Configuration of the result") +
           file_text(folder + "/config.toml", "Settings of the search") + page_end();
}

}  // namespace

void write_search_page(const std::string& folder) {
    try {
        replace_file(folder + "/search.html", page(folder));
    } catch (const std::exception& error) { log_warning(std::string("no page: ") + error.what()); }
}

}  // namespace lithe
