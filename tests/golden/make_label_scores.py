#!/usr/bin/env python3
"""Numbers of tests/score/label_scores_test.cpp, by scikit-learn and scipy: run it to see them."""
import math

from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


def classes(count, n, a, b):
    """A made-up column of classes: both programs make the same."""
    return [(i * i * a + i * b) % 97 % count for i in range(n)]


def numbers(n, a, steps):
    return [math.floor(steps * math.sin(a * i + 0.3)) / steps for i in range(n)]


def main():
    for count, n in ((2, 50), (3, 61), (5, 40)):
        truth, given = classes(count, n, 3, 5), classes(count, n, 7, 2)
        print(f"{count} classes, {n} texts: accuracy {accuracy_score(truth, given):.16g}, "
              f"macro F1 {f1_score(truth, given, average='macro'):.16g}, "
              f"Matthews {matthews_corrcoef(truth, given):.16g}")
        if count == 2:
            print(f"  F1 of class 1 {f1_score(truth, given):.16g}, of class 0 {f1_score(truth, given, pos_label=0):.16g}")
    a, b = numbers(40, 0.7, 1e6), numbers(40, 0.55, 1e6)
    print(f"numbers: Pearson {pearsonr(a, b)[0]:.16g}, Spearman {spearmanr(a, b)[0]:.16g}")
    a, b = numbers(40, 0.7, 4), numbers(40, 0.55, 3)
    print(f"ties: Pearson {pearsonr(a, b)[0]:.16g}, Spearman {spearmanr(a, b)[0]:.16g}")


if __name__ == "__main__":
    main()
