#include <algorithm>

#include "lithe/report/comparison.h"
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

// Smoothed, at most 200 points; the first twentieth is left out, where the loss falls from the height of chance.
Curve curve_of(const RunRecord& run, const Axis& axis, int colour) {
    Curve curve{run.name, {}, true, colour};
    if (run.train.empty()) return curve;
    const double end = axis.of(run, run.train.back());
    const size_t stride = run.train.size() / 200 + 1;
    double smooth = run.train[0].bits;
    for (size_t i = 0; i < run.train.size(); ++i) {
        const double x = axis.of(run, run.train[i]);
        smooth = 0.8 * smooth + 0.2 * run.train[i].bits;
        if (i % stride == 0 && x > 0 && (x >= end / 20 || run.train.size() < 20)) curve.points.push_back({x, smooth});
    }
    return curve;
}

Curve dots_of(const RunRecord& run, const Axis& axis, int colour) {
    Curve dots{"", {}, false, colour};
    const double end = run.valid.empty() ? 0 : axis.of(run, run.valid.back());
    for (const RunPoint& point : run.valid)
        if (const double x = axis.of(run, point); x > 0 && x >= end / 20) dots.points.push_back({x, point.bits});
    return dots;
}

std::string curves(const Comparison& comparison) {
    std::string html =
        "<h2>Curves</h2><p class=\"soft\">Bits per byte: lines training (smoothed), dots validation.</p>";
    for (const Axis& axis : axes(comparison.prices)) {
        std::vector<Curve> list;
        for (size_t i = 0; i < comparison.runs.size(); ++i)
            for (Curve curve : {curve_of(comparison.runs[i], axis, int(i)), dots_of(comparison.runs[i], axis, int(i))})
                if (!curve.points.empty()) list.push_back(std::move(curve));
        html += svg_chart("Bits per byte against " + axis.title, axis.unit, "bits per byte", list);
    }
    return html;
}

std::string fronts(const Comparison& comparison) {
    std::string html =
        "<h2>Quality against what it takes</h2><p class=\"soft\">The line joins runs that no other beats "
        "in both.</p>";
    for (const Measure& measure : comparison.measures) {
        std::vector<Curve> list;
        Curve front{"", {}, true, 0};
        for (size_t run : comparison.fronts.at(measure.key))
            front.points.push_back({*measure.of(comparison.runs[run]), *comparison.runs[run].last_bits});
        list.push_back(std::move(front));
        for (size_t i = 0; i < comparison.runs.size(); ++i) {
            const auto cost = measure.of(comparison.runs[i]), bits = comparison.runs[i].last_bits;
            if (cost && bits) list.push_back({"", {{*cost, *bits, comparison.runs[i].name}}, false, int(i)});
        }
        html += svg_chart("Bits per byte against " + measure.title, measure.unit, "bits per byte", list);
    }
    return html;
}

std::string groups(const Comparison& comparison) {
    if (comparison.groups.size() < 2) return "";
    return "<h2>Is the difference real?</h2>" + table_html(group_rows(comparison)) +
           "<p class=\"soft\">Runs whose settings differ in the seed only are one group. ± is the 95 % interval of the "
           "mean by Student's t; p by Welch's test against the best group.</p>";
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
