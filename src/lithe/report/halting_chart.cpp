#include "lithe/report/halting_chart.h"

#include "lithe/report/curves.h"

namespace lithe {

std::string halting_chart(const RunRecord& record) {
    constexpr size_t kDrawn = 8;  // colours of a page
    constexpr size_t kPoints = 300;
    const std::string ending = ".steps";
    std::vector<Curve> curves;
    for (const auto& [name, points] : record.blocks) {
        if (!name.ends_with(ending)) continue;
        Curve curve{name.substr(0, name.size() - ending.size()), {}, true, int(curves.size() % kDrawn)};
        for (const auto& point : points)
            if (!point.values.empty()) curve.points.push_back({point.tokens, point.values.front()});
        if (curve.points.empty()) continue;
        curve.points = thinned(curve.points, kPoints);
        curves.push_back(std::move(curve));
    }
    if (curves.empty()) return "";
    return "<h2>Halting</h2>" + chart_html({"Mean steps of a position", "tokens", curves});
}

}  // namespace lithe
