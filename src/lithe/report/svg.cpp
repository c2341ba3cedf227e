#include <algorithm>
#include <cmath>
#include <cstdio>

#include "lithe/base/text.h"
#include "lithe/report/page.h"

namespace lithe {
namespace {

constexpr double kWidth = 640, kHeight = 300, kLeft = 56, kRight = 12, kTop = 28, kBottom = 40;

struct Range {
    double low = INFINITY, high = -INFINITY;
    bool labelled = false;
    // for names beside points
    void make_room() {
        const double room = labelled ? 0.08 * (high - low) : 0;
        low -= room, high += room;
    }
    void add(double value) { low = std::min(low, value), high = std::max(high, value); }
};

// Round steps of 1, 2 or 5 times a power of ten, about five of them.
std::vector<double> ticks(const Range& range) {
    double span = range.high - range.low, step = std::pow(10, std::floor(std::log10(span / 5)));
    for (double factor : {2.0, 2.5, 2.0})
        if (span / step > 6) step *= factor;
    std::vector<double> list;
    for (double at = std::ceil(range.low / step) * step; at <= range.high + step * 1e-9; at += step) list.push_back(at);
    return list;
}

std::string number(double value) {
    char text[40];
    if (std::abs(value) >= 10000) return format_count(value);
    std::snprintf(text, sizeof text, "%.4g", value);
    return text;
}

std::string place(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

}  // namespace

std::string svg_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                      const std::vector<Curve>& curves) {
    Range x, y;
    for (const Curve& curve : curves)
        for (const CurvePoint& point : curve.points) x.add(point.x), y.add(point.y);
    if (!(x.low <= x.high)) return "";
    for (const Curve& curve : curves)
        for (const CurvePoint& point : curve.points)
            if (!point.label.empty()) x.labelled = y.labelled = true;
    x.make_room(), y.make_room();
    if (x.low == x.high) x.high += 1;
    if (y.low == y.high) y.high += 1;
    auto across = [&](double value) { return kLeft + (value - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight); };
    auto up = [&](double value) {
        return kHeight - kBottom - (value - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom);
    };
    std::string svg = "<svg viewBox=\"0 0 640 300\" role=\"img\"><title>" + escape_html(title) +
                      "</title><text class=\"title\" x=\"56\" y=\"16\">" + escape_html(title) + "</text>";
    for (double at : ticks(y))
        svg += "<line class=\"grid\" x1=\"56\" x2=\"628\" y1=\"" + place(up(at)) + "\" y2=\"" + place(up(at)) +
               "\"/><text class=\"tick\" text-anchor=\"end\" x=\"50\" y=\"" + place(up(at) + 4) + "\">" + number(at) +
               "</text>";
    for (double at : ticks(x))
        svg += "<text class=\"tick\" text-anchor=\"middle\" x=\"" + place(across(at)) + "\" y=\"276\">" + number(at) +
               "</text>";
    svg += "<text class=\"tick\" text-anchor=\"middle\" x=\"342\" y=\"294\">" + escape_html(x_label) +
           "</text><text class=\"tick\" transform=\"rotate(-90)\" text-anchor=\"middle\" x=\"-144\" y=\"11\">" +
           escape_html(y_label) + "</text>";
    double legend = kTop;
    for (size_t i = 0; i < curves.size(); ++i) {
        const Curve& curve = curves[i];
        const std::string colour = std::to_string((curve.colour < 0 ? int(i) : curve.colour) % 8);
        std::string points, dots;
        for (const CurvePoint& point : curve.points) {
            const std::string px = place(across(point.x)), py = place(up(point.y));
            points += px + "," + py + " ";
            if (curve.line && curve.points.size() >= 30) continue;
            dots += "<circle class=\"f" + colour + "\" r=\"3\" cx=\"" + px + "\" cy=\"" + py + "\"/>";
            if (point.label.empty()) continue;
            const bool right = across(point.x) > kWidth * 0.7;
            dots += "<text class=\"name f" + colour + "\" text-anchor=\"" + (right ? "end" : "start") + "\" x=\"" +
                    place(across(point.x) + (right ? -6 : 6)) + "\" y=\"" + place(up(point.y) - 5) + "\">" +
                    escape_html(point.label) + "</text>";
        }
        if (curve.line) svg += "<polyline class=\"curve l" + colour + "\" points=\"" + points + "\"/>";
        svg += dots;
        if (curve.label.empty()) continue;
        svg += "<text class=\"legend f" + colour + "\" text-anchor=\"end\" x=\"628\" y=\"" + place(legend += 14) +
               "\">" + escape_html(curve.label) + "</text>";
    }
    return svg + "</svg>";
}

}  // namespace lithe
