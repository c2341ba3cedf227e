#include "lithe/report/curves.h"

#include <algorithm>
#include <cmath>

namespace lithe {
namespace {

constexpr double kFirst = 0.02;  // where the x axis begins, as a share of the end
constexpr double kEarly = 0.04;  // the share of a curve that does not decide how high the picture is

std::vector<CurvePoint> finite(const std::vector<CurvePoint>& points) {
    std::vector<CurvePoint> kept;
    for (const CurvePoint& point : points)
        if (std::isfinite(point.x) && std::isfinite(point.y)) kept.push_back(point);
    return kept;
}

double quantile(std::vector<double> values, double share) {
    const auto place = values.begin() + std::ptrdiff_t(share * double(values.size() - 1) + 0.5);
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

// Rounded down to two digits, as it is said below the chart.
double two_digits(double value) {
    const double unit = std::pow(10, std::floor(std::log10(value)) - 1);
    return std::floor(value / unit * (1 + 1e-12)) * unit;
}

// Values behind a curve's early part.
std::vector<double> late_values(const Curve& curve) {
    std::vector<double> values;
    const double end = curve.points.empty() ? 0 : curve.points.back().x;
    for (const CurvePoint& point : curve.points)
        if (point.x >= kEarly * end) values.push_back(point.y);
    return values;
}

}  // namespace

std::vector<CurvePoint> smoothed(const std::vector<CurvePoint>& points) {
    std::vector<CurvePoint> result = finite(points);
    const size_t count = result.size();
    std::vector<double> sums(count + 1, 0), moments(count + 1, 0);  // of y, and of index times y
    for (size_t i = 0; i < count; ++i) {
        sums[i + 1] = sums[i] + result[i].y;
        moments[i + 1] = moments[i] + double(i) * result[i].y;
    }
    for (size_t i = 0; i < count; ++i) {
        const size_t half = std::min(i / 10, (count + 19) / 20), first = i - half, end = std::min(count, i + half + 1);
        const double n = double(end - first), middle = double(first + end - 1) / 2,
                     mean = (sums[end] - sums[first]) / n, spread = n * (n * n - 1) / 12;
        const double slope =
            spread > 0 ? (moments[end] - moments[first] - middle * (sums[end] - sums[first])) / spread : 0;
        result[i].y = mean + slope * (double(i) - middle);
    }
    return result;
}

std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& points, size_t most) {
    if (points.size() <= most) return points;
    const auto begin = std::find_if(points.begin(), points.end(), [](const CurvePoint& point) { return point.x > 0; });
    if (begin == points.end()) return {points.front(), points.back()};
    const double step = std::log(points.back().x / begin->x) / double(most);
    std::vector<CurvePoint> kept;
    double next = 0;
    for (auto at = begin; at != points.end(); ++at) {
        const double place = std::log(at->x / begin->x);
        if (place < next && at + 1 != points.end()) continue;
        kept.push_back(*at);
        next = place + step;
    }
    return kept;
}

Chart training_chart(const std::string& title, const std::string& x_label, std::vector<Curve> curves) {
    Chart chart{title, x_label, {}, true};
    for (Curve& curve : curves) {
        curve.points = finite(curve.points);
        std::erase_if(curve.points, [](const CurvePoint& point) { return !(point.x > 0); });
        if (!curve.points.empty()) chart.curves.push_back(std::move(curve));
    }
    if (chart.curves.empty()) return chart;
    double end = INFINITY, least = INFINITY, most = -INFINITY, whole = -INFINITY;
    for (const Curve& curve : chart.curves) {
        if (curve.line) end = std::min(end, curve.points.back().x);
        const std::vector<double> late = late_values(curve);
        least = std::min(least, quantile(late, curve.faint ? 0.02 : 0));
        most = std::max(most, quantile(late, curve.line || curve.faint ? 0.98 : 1));
    }
    if (std::isfinite(end)) chart.x_from = two_digits(kFirst * end);
    for (const Curve& curve : chart.curves)
        for (const CurvePoint& point : curve.points)
            if (point.x >= chart.x_from) whole = std::max(whole, point.y);
    const double rounding = 1e-9 * std::abs(most);
    if (most - least > rounding && whole - most > (most - least) / 3) chart.y_to = most + 0.05 * (most - least);
    return chart;
}

}  // namespace lithe
