#include <algorithm>

#include "lithe/base/text.h"
#include "lithe/report/comparison.h"
#include "lithe/report/curves.h"
#include "lithe/report/numbers.h"
#include "lithe/report/page.h"

namespace lithe {
namespace {

// What a curve can be drawn against.
struct Axis {
    std::string title, unit;
    std::function<double(const RunRecord&, const RunPoint&)> of;  // 0 everywhere: not known of this run
};

std::vector<Axis> axes(const Prices& prices) {
    std::vector<Axis> list = {
        {"steps", "steps", [](const RunRecord&, const RunPoint& p) { return p.step; }},
        {"tokens", "tokens", [](const RunRecord&, const RunPoint& p) { return p.tokens; }},
        {"training time", "seconds", [](const RunRecord&, const RunPoint& p) { return p.seconds; }},
        {"training FLOPs", "FLOP",
         [](const RunRecord& r, const RunPoint& p) { return p.tokens * r.training_flops_per_token; }}};
    if (prices.per_hour)
        list.push_back({"cost", "at the stated price",
                        [prices](const RunRecord&, const RunPoint& p) { return p.seconds / 3600 * *prices.per_hour; }});
    return list;
}

Curve curve_of(const RunRecord& run, const Axis& axis, int colour) {
    std::vector<CurvePoint> points;
    for (const RunPoint& point : run.train) points.push_back({axis.of(run, point), point.value});
    return {run.name, thinned(smoothed(points), 200), true, colour};
}

Curve dots_of(const RunRecord& run, const Axis& axis, int colour) {
    Curve dots{"", {}, false, colour};
    for (const RunPoint& point : run.valid) dots.points.push_back({axis.of(run, point), point.value});
    return dots;
}

std::string title_of(const Comparison& comparison, size_t ranking) {
    const std::string title = ranking_title(comparison, ranking);
    return title.empty() ? "" : "<p><b>" + escape_html(title) + "</b></p>";
}

// Of the first of a ranking's runs that was scored; all have it.
std::string unit_of(const Comparison& comparison, size_t ranking) {
    for (const size_t run : comparison.rankings[ranking].runs)
        if (comparison.runs[run].last_score) return comparison.runs[run].score.unit;
    return ScoreKind().unit;
}

std::string curves(const Comparison& comparison) {
    std::string html = "<h2>Curves</h2>";
    for (size_t ranking = 0; ranking < comparison.rankings.size(); ++ranking) {
        const RunRecord& first = comparison.runs[comparison.rankings[ranking].runs[0]];
        const std::string unit = unit_of(comparison, ranking);
        html += title_of(comparison, ranking) + "<p class=\"soft\">" + escape_html(capitalized(unit)) +
                (first.trains_on_score() ? ": lines training (smoothed), dots validation.</p>"
                                         : " of validation; training's loss in nats is drawn apart.</p>");
        for (const Axis& axis : axes(comparison.prices)) {
            std::vector<Curve> losses, scores;
            for (size_t i : comparison.rankings[ranking].runs) {
                const RunRecord& run = comparison.runs[i];
                (run.trains_on_score() ? scores : losses).push_back(curve_of(run, axis, int(i)));
                scores.push_back(dots_of(run, axis, int(i)));
            }
            const std::string against = " against " + axis.title;
            html += chart_html(training_chart(capitalized(unit) + against, axis.unit, std::move(scores)));
            html += chart_html(training_chart("Training loss" + against, axis.unit, std::move(losses)));
        }
    }
    return html;
}

// One dot per run; the line joins the means of groups that are not beaten.
std::string front(const Comparison& comparison, const Measure& measure, size_t ranking) {
    Chart chart{capitalized(unit_of(comparison, ranking)) + " against " + measure.title, measure.unit, {}};
    Curve line{"", {}, true, 0};
    for (size_t group : comparison.fronts.at(measure.key))
        if (comparison.groups[group].ranking == ranking)
            line.points.push_back(
                {*mean_of(measure, comparison.runs, comparison.groups[group]), comparison.groups[group].scores.mean});
    chart.curves.push_back(std::move(line));
    for (size_t i : comparison.rankings[ranking].runs) {
        const auto cost = measure.of(comparison.runs[i]), score = comparison.runs[i].last_score;
        if (cost && score) chart.curves.push_back({"", {{*cost, *score, comparison.runs[i].name}}, false, int(i)});
    }
    return chart_html(chart);
}

std::string fronts(const Comparison& comparison) {
    std::string html =
        "<h2>Quality against what it takes</h2><p class=\"soft\">A dot is a run. The line joins the "
        "means of what no other beats in both. " +
        equality_text() + "</p>";
    for (size_t ranking = 0; ranking < comparison.rankings.size(); ++ranking) {
        html += title_of(comparison, ranking);
        for (const Measure& measure : comparison.measures) {
            html += front(comparison, measure, ranking);
            if (const auto names = front_names(comparison, measure, ranking); !names.empty())
                html += "<p>Not beaten: " + escape_html(join(names, ", ")) + ".</p>";
        }
    }
    return html;
}

std::string groups(const Comparison& comparison) {
    if (comparison.groups.size() < 2) return "";
    std::string html = "<h2>Is the difference real?</h2>";
    for (size_t ranking = 0; ranking < comparison.rankings.size(); ++ranking) {
        html += title_of(comparison, ranking) + table_html(group_rows(comparison, ranking)) + "<ul>";
        for (const RunGroup& group : comparison.groups)
            if (group.ranking == ranking) html += "<li>" + escape_html(group.sentence) + "</li>";
        html += "</ul>";
    }
    return html +
           "<p class=\"soft\">Runs whose settings differ in the seed only are one group. ± is the 95 % interval of the "
           "difference from the best group, p the probability of so large a difference by chance (Welch's test of that "
           "difference). Each is one comparison: of twenty groups that are equal, about one looks different.</p>";
}

std::string differences(const Comparison& comparison) {
    return comparison.differences.empty() ? "" : "<h2>What differs</h2>" + table_html(difference_rows(comparison));
}

std::string energy_note(const Comparison& comparison) {
    bool measured = false, estimated = false;
    for (const RunRecord& run : comparison.runs)
        if (energy_of(run, comparison.prices)) (run.joules ? measured : estimated) = true;
    std::string note;
    if (measured) note += "Energy was measured by the processor's counters (packages only). ";
    if (estimated) note += "Energy is an estimate from the stated " + three_digits(*comparison.prices.watts) + " W. ";
    if (comparison.prices.grams_per_kwh)
        note += "CO2 at the stated " + three_digits(*comparison.prices.grams_per_kwh) + " g per kWh. ";
    return note.empty() ? "" : "<p class=\"soft\">" + note + "</p>";
}

}  // namespace

std::string comparison_page(const Comparison& comparison) {
    std::string html = page_head("Comparison of " + std::to_string(comparison.runs.size()) + " runs");
    html += table_html(run_rows(comparison)) + energy_note(comparison);
    for (const std::string& warning : comparison.warnings) html += "<p><b>Note:</b> " + escape_html(warning) + "</p>";
    return html + groups(comparison) + differences(comparison) + curves(comparison) + fronts(comparison) + page_end();
}

}  // namespace lithe
