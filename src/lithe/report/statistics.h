// What a few runs with other seeds say: mean, interval, and whether two means differ.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lithe {

struct Sample {
    size_t count = 0;
    double mean = 0;
    double deviation = 0;  // of the sample, n - 1
    double half = 0;       // half of the 95 % confidence interval of the mean by Student's t; 0 for one value
};
Sample describe(const std::vector<double>& values);

// Two-sided probability of |t| or more under Student's distribution.
double student_p(double t, double freedom);
// Welch's test: the probability of so large a difference between the means if there were none. nullopt with fewer than
// two values on a side, or when nothing varies.
std::optional<double> welch_p(const Sample& a, const Sample& b);
// Half of the 95 % interval of the difference of the means, with Welch's degrees of freedom: it leaves 0 out exactly
// when welch_p is below 0.05. nullopt where that is.
std::optional<double> welch_half(const Sample& a, const Sample& b);

// Something that takes `cost` and gives `loss` (ScoreKind::as_loss); both are to be small.
struct Trade {
    double cost = 0, loss = 0;
};
// What two runs of one configuration differ by is no win: costs within 2 % and losses within 0.1 % count as equal.
constexpr double kEqualCost = 0.02, kEqualLoss = 0.001;
// "Costs within 2 % and scores within 0.1 % count as equal."
std::string equality_text();
// The Pareto front: indices of those for which no other is at least as good in both and better in one, by rising cost.
std::vector<size_t> unbeaten(const std::vector<Trade>& trades);

}  // namespace lithe
