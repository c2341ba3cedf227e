#include "lithe/report/statistics.h"

#include <algorithm>
#include <cmath>

#include "lithe/report/numbers.h"

namespace lithe {
namespace {

// Regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8), with Lentz's method.
double beta_fraction(double a, double b, double x) {
    constexpr double kTiny = 1e-300;
    auto away = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
    double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), result = d;
    for (int m = 1; m < 500; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double change = 1;
        for (const double term : {even, odd}) {
            d = 1 / away(1 + term * d);
            c = away(1 + term / c);
            change = c * d;
            result *= change;
        }
        if (std::abs(change - 1) < 1e-15) break;
    }
    return result;
}

double incomplete_beta(double a, double b, double x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front =
        std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

// The t that is exceeded in size with probability `p`.
double student_quantile(double p, double freedom) {
    double low = 0, high = 1;
    while (student_p(high, freedom) > p) high *= 2;
    for (int i = 0; i < 200; ++i) {
        const double middle = (low + high) / 2;
        (student_p(middle, freedom) > p ? low : high) = middle;
    }
    return (low + high) / 2;
}

// Of the difference of two means.
struct Welch {
    double error = 0, freedom = 0;
};
std::optional<Welch> welch_of(const Sample& a, const Sample& b) {
    if (a.count < 2 || b.count < 2) return std::nullopt;
    const double share_a = a.deviation * a.deviation / double(a.count),
                 share_b = b.deviation * b.deviation / double(b.count), variance = share_a + share_b;
    if (!(variance > 0)) return std::nullopt;
    return Welch{
        std::sqrt(variance),
        variance * variance / (share_a * share_a / double(a.count - 1) + share_b * share_b / double(b.count - 1))};
}

}  // namespace

double student_p(double t, double freedom) { return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)); }

Sample describe(const std::vector<double>& values) {
    Sample sample{.count = values.size()};
    if (values.empty()) return sample;
    for (double value : values) sample.mean += value / double(values.size());
    if (values.size() < 2) return sample;
    const auto freedom = double(values.size() - 1);
    double squares = 0;
    for (double value : values) squares += (value - sample.mean) * (value - sample.mean);
    sample.deviation = std::sqrt(squares / freedom);
    sample.half = student_quantile(0.05, freedom) * sample.deviation / std::sqrt(double(values.size()));
    return sample;
}

std::optional<double> welch_p(const Sample& a, const Sample& b) {
    const auto welch = welch_of(a, b);
    if (!welch) return std::nullopt;
    return student_p((a.mean - b.mean) / welch->error, welch->freedom);
}

std::optional<double> welch_half(const Sample& a, const Sample& b) {
    const auto welch = welch_of(a, b);
    if (!welch) return std::nullopt;
    return student_quantile(0.05, welch->freedom) * welch->error;
}

std::string equality_text() {
    return "Costs within " + three_digits(100 * kEqualCost) + " % and scores within " + three_digits(100 * kEqualLoss) +
           " % count as equal.";
}

// To beat is to be clearly better in one and not clearly worse in the other. That never goes round in a circle: each
// step of one would have to gain more in one measure than every other step may lose in it.
std::vector<size_t> unbeaten(const std::vector<Trade>& trades) {
    auto clearly_less = [](double a, double b, double equal) { return a < b - equal * std::abs(b); };
    std::vector<size_t> front;
    for (size_t i = 0; i < trades.size(); ++i) {
        const Trade& one = trades[i];
        const bool beaten = std::any_of(trades.begin(), trades.end(), [&](const Trade& other) {
            const bool worse =
                clearly_less(one.cost, other.cost, kEqualCost) || clearly_less(one.loss, other.loss, kEqualLoss);
            const bool better =
                clearly_less(other.cost, one.cost, kEqualCost) || clearly_less(other.loss, one.loss, kEqualLoss);
            return better && !worse;
        });
        if (!beaten) front.push_back(i);
    }
    std::stable_sort(front.begin(), front.end(), [&](size_t a, size_t b) { return trades[a].cost < trades[b].cost; });
    return front;
}

}  // namespace lithe
