// report.html of one run: settings, curves, samples, environment, in one self-contained file (no network, light and
// dark).
#pragma once

#include <string>
#include <vector>

namespace lithe {

// Reads the run folder's files. A failure is a warning: a report never ends a run.
void write_report(const std::string& run);

struct CurvePoint {
    double x = 0, y = 0;
};
struct Curve {
    std::string label;
    std::vector<CurvePoint> points;
};
// One line chart as an SVG element.
std::string svg_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                      const std::vector<Curve>& curves);
std::string escape_html(const std::string& text);

}  // namespace lithe
