#include "lithe/score/label_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace lithe {

ConfusionMatrix::ConfusionMatrix(const std::vector<int64_t>& truth, const std::vector<int64_t>& given, int64_t classes)
    : classes_(classes),
      total_(int64_t(truth.size())),
      counts_(size_t(classes * classes)) {
    for (size_t i = 0; i < truth.size(); ++i) ++counts_[size_t(truth[i] * classes + given[i])];
}

int64_t ConfusionMatrix::row(int64_t truth) const {
    int64_t sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += at(truth, c);
    return sum;
}

int64_t ConfusionMatrix::column(int64_t given) const {
    int64_t sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += at(c, given);
    return sum;
}

double ConfusionMatrix::accuracy() const {
    int64_t right = 0;
    for (int64_t c = 0; c < classes_; ++c) right += at(c, c);
    return total_ > 0 ? double(right) / double(total_) : 0;
}

double ConfusionMatrix::f1(int64_t of_class) const {
    const int64_t both = row(of_class) + column(of_class);  // 2 TP + FP + FN
    return both > 0 ? 2 * double(at(of_class, of_class)) / double(both) : 0;
}

double ConfusionMatrix::macro_f1() const {
    double sum = 0;
    int64_t present = 0;
    for (int64_t c = 0; c < classes_; ++c) {
        if (row(c) + column(c) == 0) continue;
        sum += f1(c);
        ++present;
    }
    return present > 0 ? sum / double(present) : 0;
}

double ConfusionMatrix::matthews() const {
    double right = 0, products = 0, rows = 0, columns = 0;
    for (int64_t c = 0; c < classes_; ++c) {
        const auto t = double(row(c)), p = double(column(c));
        right += double(at(c, c));
        products += t * p;
        rows += t * t;
        columns += p * p;
    }
    const auto s = double(total_);
    const double below = (s * s - columns) * (s * s - rows);
    return below > 0 ? (right * s - products) / std::sqrt(below) : 0;
}

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
    const auto n = double(a.size());
    const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
    const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const double x = a[i] - mean_a, y = b[i] - mean_b;
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if (!(aa > 0) || !(bb > 0)) return std::numeric_limits<double>::quiet_NaN();
    return std::clamp(ab / (std::sqrt(aa) * std::sqrt(bb)), -1.0, 1.0);
}

std::vector<double> ranks(const std::vector<double>& numbers) {
    std::vector<size_t> order(numbers.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return numbers[i] < numbers[j]; });
    std::vector<double> all(numbers.size());
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        while (end < order.size() && numbers[order[end]] == numbers[order[begin]]) ++end;
        for (size_t i = begin; i < end; ++i) all[order[i]] = (double(begin + 1) + double(end)) / 2;
    }
    return all;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) { return pearson(ranks(a), ranks(b)); }

}  // namespace lithe
