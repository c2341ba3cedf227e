// What all report pages share: one self-contained file, no network, light and dark, readable on a phone.
#pragma once

#include <cmath>
#include <string>
#include <vector>

namespace lithe {

// Stands in the head of every page: a file without it is none of ours.
inline constexpr const char* kPageMark = "<meta name=\"generator\" content=\"lithe\">";
std::string page_head(const std::string& title);  // up to and with the <h1>
std::string page_end();
std::string escape_html(const std::string& text);

// <tr> of a name and a value.
std::string table_row(const std::string& name, const std::string& value);
// A table whose first row is the head. Cells are text. On a narrow screen each row is a card of lines "head: cell";
// elsewhere long cells wrap, and what is still wider than the window scrolls on its own.
std::string table_html(const std::vector<std::vector<std::string>>& rows);

struct CurvePoint {
    double x = 0, y = 0;
    std::string label = {};  // shown beside the point, when it is not empty
};
struct Curve {
    std::string label;
    std::vector<CurvePoint> points;
    bool line = true;    // false: only dots
    int colour = -1;     // -1: by place in the list
    bool faint = false;  // small pale dots behind the others: single measurements
};
struct Chart {
    std::string title, x_label;
    std::vector<Curve> curves;
    bool log_x = false;
    // Points left of the first and above the second are not drawn; a line under the chart says so.
    double x_from = -INFINITY, y_to = INFINITY;
};
// One chart with title, legend and what is left out; "" when there is nothing to show. Values that are not finite are
// passed over.
std::string chart_html(const Chart& chart);

}  // namespace lithe
