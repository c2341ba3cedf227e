#include <algorithm>
#include <cmath>
#include <cstdio>

#include "lithe/base/text.h"
#include "lithe/report/numbers.h"
#include "lithe/report/page.h"

namespace lithe {
namespace {

// Room for labels of 20 units, the size of text on a phone: about 11 units a letter.
constexpr double kWidth = 640, kHeight = 320, kLeft = 84, kRight = 16, kTop = 14, kBottom = 58, kLetter = 11;

std::string number(double value) {
    char text[40];
    if (std::abs(value) < 10000) {
        std::snprintf(text, sizeof text, "%.4g", value);
        return text;
    }
    std::string with_unit = format_count(value);  // "1.00M" -> "1M"
    const size_t point = with_unit.find('.'), unit = with_unit.find_last_of("0123456789") + 1;
    if (point == std::string::npos) return with_unit;
    size_t end = unit;
    while (with_unit[end - 1] == '0') --end;
    if (end - 1 == point) --end;
    return with_unit.substr(0, end) + with_unit.substr(unit);
}

std::string place(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

struct Range {
    double low = INFINITY, high = -INFINITY;
    void add(double value) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    void widen(double share) {
        const double room = share * (high - low);
        low -= room;
        high += room;
    }
};

// Round steps of 1, 2 or 5 times a power of ten, about five of them.
std::vector<double> ticks(const Range& range) {
    double span = range.high - range.low, step = std::pow(10, std::floor(std::log10(span / 5)));
    for (double factor : {2.0, 2.5, 2.0})
        if (span / step > 6) step *= factor;
    std::vector<double> list;
    constexpr int kMost = 12;  // whatever rounding makes of a span that is next to nothing
    const double first = std::ceil(range.low / step - 1e-9);
    for (int i = 0; i < kMost; ++i) {
        const double at = (first + i) * step;
        if (!(at <= range.high + step * 1e-9)) break;
        if (!list.empty() && at <= list.back()) break;
        list.push_back(std::abs(at) < step * 1e-9 ? 0 : at);
    }
    return list;
}

// 1, 2 and 5 times powers of ten, or the powers alone where those are many.
std::vector<double> log_ticks(const Range& range) {
    const double decades = std::log10(range.high / range.low), stride = std::ceil(decades / 7);
    std::vector<double> list;
    for (double power = std::floor(std::log10(range.low)); power <= std::log10(range.high);
         power += decades > 2.2 ? stride : 1)
        for (double factor : {1.0, 2.0, 5.0}) {
            const double at = factor * std::pow(10, power);
            if (at < range.low * (1 - 1e-9) || at > range.high * (1 + 1e-9)) continue;
            if (factor == 1 || decades <= 2.2) list.push_back(at);
        }
    return list;
}

// Whether a place can be computed for it: a range of larger numbers is none.
bool has_place(const CurvePoint& point) { return std::abs(point.x) < 1e300 && std::abs(point.y) < 1e300; }

// A range of one number becomes one that it lies in.
void spread(Range& range) {
    if (range.low == range.high) range.high += range.high == 0 ? 1 : 0.1 * std::abs(range.high);
}

struct Dot {
    double x = 0, y = 0;
    std::string label;
};

class Plot {
 public:
    explicit Plot(const Chart& chart) : chart_(chart) {
        for (const Curve& curve : chart.curves)
            for (const CurvePoint& point : curve.points) {
                if (!shown(point)) continue;
                x_.add(point.x);
                y_.add(point.y);
                if (!point.label.empty()) labelled_ = true;
            }
        if (empty()) return;
        if (std::isfinite(chart.y_to)) y_.high = chart.y_to;
        log_ = chart.log_x && x_.low > 0 && x_.high >= 10 * x_.low;
        if (labelled_) {
            x_.widen(0.08);
            y_.widen(0.08);
        }
        spread(x_);
        spread(y_);
    }

    bool empty() const { return !(x_.low <= x_.high); }

    std::string svg() {
        std::string svg = "<svg viewBox=\"0 0 640 320\" role=\"img\"><title>" + escape_html(chart_.title) + "</title>";
        svg += grid();
        for (const bool faint : {true, false})
            for (size_t i = 0; i < chart_.curves.size(); ++i)
                if (chart_.curves[i].faint == faint) svg += drawn(chart_.curves[i], colour_of(i));
        return svg + "</svg>";
    }

    std::string legend() const {
        std::string html;
        for (size_t i = 0; i < chart_.curves.size(); ++i) {
            const Curve& curve = chart_.curves[i];
            if (curve.label.empty() || curve.points.empty()) continue;
            html += " <span class=\"key\"><span class=\"t" + colour_of(i) + "\">" +
                    (curve.line    ? "—"
                     : curve.faint ? "·"
                                   : "●") +
                    "</span> " + escape_html(curve.label) + "</span>";
        }
        return html;
    }

    // What is cut off; "" for nothing.
    std::string note() const {
        bool left = false, above = false;
        for (const Curve& curve : chart_.curves)
            for (const CurvePoint& point : curve.points) {
                if (!has_place(point)) continue;
                if (point.x < chart_.x_from) left = true;
                else if (point.y > chart_.y_to) above = true;
            }
        if (!left && !above) return "";
        std::string text = "Not shown: ";
        if (left) text += "what was before " + number(chart_.x_from) + " " + chart_.x_label;
        if (left && above) text += ", and ";
        if (above) text += "values above " + three_digits(chart_.y_to);
        return text + ".";
    }

 private:
    bool shown(const CurvePoint& point) const {
        return has_place(point) && point.x >= chart_.x_from && point.y <= chart_.y_to;
    }
    std::string colour_of(size_t i) const {
        return std::to_string((chart_.curves[i].colour < 0 ? int(i) : chart_.curves[i].colour) % 8);
    }
    double across(double value) const {
        const double share =
            log_ ? std::log(value / x_.low) / std::log(x_.high / x_.low) : (value - x_.low) / (x_.high - x_.low);
        return kLeft + share * (kWidth - kLeft - kRight);
    }
    double up(double value) const {
        return kHeight - kBottom - (value - y_.low) / (y_.high - y_.low) * (kHeight - kTop - kBottom);
    }

    std::string grid() const {
        std::string svg;
        for (double at : ticks(y_))
            svg += "<line class=\"grid\" x1=\"84\" x2=\"624\" y1=\"" + place(up(at)) + "\" y2=\"" + place(up(at)) +
                   "\"/><text class=\"tick\" text-anchor=\"end\" x=\"78\" y=\"" + place(up(at) + 5) + "\">" +
                   number(at) + "</text>";
        for (double at : log_ ? log_ticks(x_) : ticks(x_)) {
            const std::string text = number(at);
            const bool clipped = across(at) + kLetter / 2 * double(text.size()) > kWidth;
            svg += std::string("<text class=\"tick\" text-anchor=\"") + (clipped ? "end" : "middle") + "\" x=\"" +
                   place(clipped ? kWidth - 1 : across(at)) + "\" y=\"284\">" + text + "</text>";
        }
        return svg + "<text class=\"tick\" text-anchor=\"middle\" x=\"354\" y=\"310\">" + escape_html(chart_.x_label) +
               (log_ ? ", logarithmic" : "") + "</text>";
    }

    std::string drawn(const Curve& curve, const std::string& colour) {
        std::string svg = curve.line ? lines(curve, colour) : "";
        if (curve.line && curve.points.size() >= 30) return svg;
        for (const CurvePoint& point : curve.points) {
            if (!shown(point)) continue;
            const double px = across(point.x), py = up(point.y);
            svg += std::string("<circle class=\"") + (curve.faint ? "faint " : "") + "f" + colour + "\" r=\"" +
                   (curve.faint ? "1.5" : "3") + "\" cx=\"" + place(px) + "\" cy=\"" + place(py) + "\"/>";
            if (!point.label.empty()) svg += name(px, py, point.label, colour);
        }
        return svg;
    }

    // A line leaves the picture through its upper edge and comes back through it.
    std::string lines(const Curve& curve, const std::string& colour) const {
        std::string svg, points;
        auto flush = [&] {
            if (!points.empty()) svg += "<polyline class=\"curve l" + colour + "\" points=\"" + points + "\"/>";
            points.clear();
        };
        auto add = [&](double px, double py) { points += place(px) + "," + place(py) + " "; };
        const CurvePoint* before = nullptr;
        for (const CurvePoint& point : curve.points) {
            if (!has_place(point) || point.x < chart_.x_from) continue;
            const bool inside = shown(point);
            if (before && inside != shown(*before)) {
                const double share = (chart_.y_to - before->y) / (point.y - before->y), from = across(before->x);
                add(from + share * (across(point.x) - from), kTop);
            }
            if (inside) add(across(point.x), up(point.y));
            else flush();
            before = &point;
        }
        flush();
        return svg;
    }

    // Beside its point, on the side with more room, shortened to what fits, and not upon another name.
    std::string name(double px, double py, const std::string& label, const std::string& colour) {
        const bool right = px > (kLeft + kWidth) / 2;
        const auto fits = size_t((right ? px - 6 : kWidth - px - 6) / kLetter);
        std::string text = label;
        if (text.size() > fits) {
            text.resize(fits > 1 ? fits - 1 : 0);
            while (!is_valid_utf8(text)) text.pop_back();
            text += "…";
        }
        double y = py - 5;
        for (const double shift : {-5.0, 16.0, -24.0, 35.0, -43.0, 54.0}) {
            y = std::clamp(py + shift, kTop + 6, kHeight - kBottom - 2);
            const bool free = std::none_of(names_.begin(), names_.end(), [&](const auto& other) {
                return std::abs(other.first - px) < 200 && std::abs(other.second - y) < 18;
            });
            if (free) break;
        }
        names_.emplace_back(px, y);
        return "<text class=\"name f" + colour + "\" text-anchor=\"" + (right ? "end" : "start") + "\" x=\"" +
               place(px + (right ? -6 : 6)) + "\" y=\"" + place(y) + "\">" + escape_html(text) +
               (text == label ? "" : "<title>" + escape_html(label) + "</title>") + "</text>";
    }

    const Chart& chart_;
    Range x_, y_;
    bool labelled_ = false, log_ = false;
    std::vector<std::pair<double, double>> names_;
};

}  // namespace

std::string chart_html(const Chart& chart) {
    Plot plot(chart);
    if (plot.empty()) return "";
    std::string html =
        "<figure><figcaption><b>" + escape_html(chart.title) + "</b>" + plot.legend() + "</figcaption>" + plot.svg();
    const std::string note = plot.note();
    if (!note.empty()) html += "<p class=\"soft\">" + escape_html(note) + "</p>";
    return html + "</figure>\n";
}

}  // namespace lithe
