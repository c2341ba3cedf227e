// What all report pages share: one self-contained file, no network, light and dark, readable on a phone.
#pragma once

#include <string>
#include <vector>

namespace lithe {

std::string page_head(const std::string& title);  // up to and with the <h1>
std::string page_end();
std::string escape_html(const std::string& text);

// <tr> of a name and a value.
std::string table_row(const std::string& name, const std::string& value);
// A table that scrolls on its own when it is wider than the page; the first row is the head. Cells are text.
std::string table_html(const std::vector<std::vector<std::string>>& rows);

struct CurvePoint {
    double x = 0, y = 0;
    std::string label = {};  // shown beside the point, when it is not empty
};
struct Curve {
    std::string label;
    std::vector<CurvePoint> points;
    bool line = true;  // false: only dots
    int colour = -1;   // -1: by place in the list
};
// One chart as an SVG element; "" when there is nothing to show.
std::string svg_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                      const std::vector<Curve>& curves);

}  // namespace lithe
