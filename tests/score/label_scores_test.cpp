// Scores of labels, equal to those of scikit-learn and scipy: tests/golden/make_label_scores.py prints the numbers.
#include "lithe/score/label_scores.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lithe {
namespace {

std::vector<int64_t> classes(int64_t count, int64_t n, int64_t a, int64_t b) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < n; ++i) all.push_back((i * i * a + i * b) % 97 % count);
    return all;
}

std::vector<double> numbers(int n, double a, double steps) {
    std::vector<double> all;
    for (int i = 0; i < n; ++i) all.push_back(std::floor(steps * std::sin(a * i + 0.3)) / steps);
    return all;
}

TEST(LabelScores, ClassesAreScikitLearns) {
    struct Case {
        int64_t count, n;
        double accuracy, f1, matthews;
    };
    for (const Case& each : {Case{2, 50, 0.44, 0.44, -0.1185897435897436},
                             Case{3, 61, 0.3770491803278688, 0.3696158565753624, 0.07982815594948943},
                             Case{5, 40, 0.35, 0.340834590246355, 0.2009547221523263}}) {
        const ConfusionMatrix matrix(classes(each.count, each.n, 3, 5), classes(each.count, each.n, 7, 2), each.count);
        EXPECT_NEAR(matrix.accuracy(), each.accuracy, 1e-12);
        EXPECT_NEAR(matrix.macro_f1(), each.f1, 1e-12);
        EXPECT_NEAR(matrix.matthews(), each.matthews, 1e-12);
        if (each.count == 2) { EXPECT_NEAR(matrix.f1(1), 0.44, 1e-12); }
    }
}

TEST(LabelScores, AClassThatIsNeverGivenCountsAsNothing) {
    const ConfusionMatrix one_sided({0, 0, 1}, {0, 0, 0}, 2);
    EXPECT_EQ(one_sided.matthews(), 0);
    EXPECT_EQ(one_sided.f1(1), 0);
    EXPECT_NEAR(one_sided.macro_f1(), 0.4, 1e-15);
    EXPECT_NEAR(ConfusionMatrix({0, 1}, {0, 1}, 3).macro_f1(), 1, 1e-15) << "the third class stands nowhere";
}

TEST(LabelScores, NumbersAreScipys) {
    EXPECT_NEAR(pearson(numbers(40, 0.7, 1e6), numbers(40, 0.55, 1e6)), -0.05393743047012584, 1e-12);
    EXPECT_NEAR(spearman(numbers(40, 0.7, 1e6), numbers(40, 0.55, 1e6)), -0.02889305816135085, 1e-12);
    EXPECT_NEAR(pearson(numbers(40, 0.7, 4), numbers(40, 0.55, 3)), -0.02822462351582589, 1e-12);
    EXPECT_NEAR(spearman(numbers(40, 0.7, 4), numbers(40, 0.55, 3)), -0.01853376492005096, 1e-12);
    EXPECT_TRUE(std::isnan(pearson({1, 1, 1}, {1, 2, 3})));
    EXPECT_EQ(ranks({3, 1, 3, 2}), (std::vector<double>{3.5, 1, 3.5, 2}));
}

}  // namespace
}  // namespace lithe
