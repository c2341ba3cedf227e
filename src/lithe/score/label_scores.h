// Scores of predicted classes and numbers, as scikit-learn and scipy compute them.
//
//   accuracy   share that is right
//   F1         2 TP / (2 TP + FP + FN) of one class; the mean over classes (macro); 0 where the denominator is 0
//   Matthews   of C classes with confusion matrix M, s = sum M, c = trace, t = row sums, p = column sums:
//              (c s - t.p) / sqrt((s^2 - p.p)(s^2 - t.t)); 0 where the root is 0 (Gorodkin 2004)
//   Pearson    correlation of numbers; Spearman: of their ranks, ties have their mean; NaN where one side is constant
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lithe {

// Of classes in [0, classes): how often what stands there (row) was given which (column).
class ConfusionMatrix {
 public:
    // Both of one length, all in [0, classes).
    ConfusionMatrix(const std::vector<int64_t>& truth, const std::vector<int64_t>& given, int64_t classes);
    double accuracy() const;
    double f1(int64_t of_class) const;
    // The mean over classes that stand there or were given, as scikit-learn's macro average.
    double macro_f1() const;
    double matthews() const;
    int64_t at(int64_t truth, int64_t given) const { return counts_[std::size_t(truth * classes_ + given)]; }

 private:
    int64_t row(int64_t truth) const;
    int64_t column(int64_t given) const;
    int64_t classes_, total_;
    std::vector<int64_t> counts_;
};

// Both of one length.
double pearson(const std::vector<double>& a, const std::vector<double>& b);
double spearman(const std::vector<double>& a, const std::vector<double>& b);
// From 1; equal numbers have the mean of their ranks.
std::vector<double> ranks(const std::vector<double>& numbers);

}  // namespace lithe
