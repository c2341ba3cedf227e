#include "lithe/report/expert_charts.h"

#include <algorithm>

#include "lithe/report/curves.h"

namespace lithe {
namespace {

constexpr size_t kDrawn = 8;  // colours of a page
constexpr size_t kPoints = 300;

using Points = std::vector<RunRecord::BlockPoint>;

std::string without(const std::string& name, const std::string& ending) {
    return name.substr(0, name.size() - ending.size());
}

Curve curve_of(const std::string& name, const Points& points, int colour, double (*value)(std::vector<double>)) {
    Curve curve{name, {}, true, colour};
    for (const auto& point : points) curve.points.push_back({point.tokens, value(point.values)});
    curve.points = thinned(curve.points, kPoints);
    return curve;
}

template <int Percent> double share_at(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[(values.size() - 1) * Percent / 100];
}

std::vector<Curve> curves_of_use(const Points& points) {
    const size_t experts = points.front().values.size();
    if (experts > kDrawn)
        return {curve_of("most used", points, 0, share_at<100>), curve_of("middle", points, 1, share_at<50>),
                curve_of("least used", points, 2, share_at<0>)};
    std::vector<Curve> curves;
    for (size_t e = 0; e < experts; ++e) {
        Curve curve{"expert " + std::to_string(e), {}, true, int(e)};
        for (const auto& point : points) curve.points.push_back({point.tokens, point.values[e]});
        curve.points = thinned(curve.points, kPoints);
        curves.push_back(std::move(curve));
    }
    return curves;
}

}  // namespace

std::string expert_charts(const RunRecord& record) {
    std::string html;
    std::vector<Curve> dropped;
    for (const auto& [name, points] : record.blocks) {
        if (points.empty() || points.front().values.empty()) continue;
        if (name.ends_with(".use"))
            html +=
                chart_html({"Share of tokens by expert, " + without(name, ".use"), "tokens", curves_of_use(points)});
        if (name.ends_with(".dropped"))
            dropped.push_back(curve_of(without(name, ".dropped"), points, int(dropped.size() % kDrawn), share_at<0>));
    }
    if (!dropped.empty()) html += chart_html({"Share of choices turned away", "tokens", dropped});
    return html.empty() ? "" : "<h2>Experts</h2>" + html;
}

}  // namespace lithe
