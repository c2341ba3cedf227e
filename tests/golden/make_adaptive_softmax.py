#!/usr/bin/env python3
"""The numbers of tests/golden/adaptive_softmax_test.cpp: the adaptive softmax (Grave et al. 2017, "Efficient softmax approximation
for GPUs", section 4) with projections as in Transformer-XL's code (its ProjectedAdaptiveLogSoftmax).

The head's softmax is over the frequent words and one entry per cluster; log p(word) = log p(cluster) + log p(word | cluster).
A cluster's logits are (h P) T' + b. The original code counts the entries of clusters from the end: the first cluster's is the
last entry; `forward` is the order that one expects.
"""
import numpy as np

from golden import Golden, exit_with, wave

D, EDGES = 4, [0, 3, 5, 7]


def numbered(sizes, seed, scale=0.3):
    return wave(sizes, 0.7, seed, scale)


TABLES = [numbered((3, 4), 11), numbered((2, 2), 12), numbered((2, 1), 13)]
BIASES = [numbered(3, 14), numbered(2, 15), numbered(2, 16)]
PROJECTIONS = [numbered((D, 4), 17), numbered((D, 2), 18), numbered((D, 1), 19)]
CLUSTERS, CLUSTER_BIAS = numbered((2, 4), 20), numbered(2, 21)
H = numbered(D, 7, 1.0)


def log_softmax(x):
    return x - np.log(np.exp(x).sum())


def log_probabilities(order):
    projected = H @ PROJECTIONS[0]
    head = log_softmax(np.concatenate([TABLES[0] @ projected + BIASES[0], CLUSTERS @ projected + CLUSTER_BIAS]))
    parts = [head[:3]]
    for cluster in (1, 2):
        entry = -cluster if order == "original" else 2 + cluster
        parts.append(head[entry] + log_softmax(TABLES[cluster] @ (H @ PROJECTIONS[cluster]) + BIASES[cluster]))
    return np.concatenate(parts)


if __name__ == "__main__":
    golden = Golden("golden/adaptive_softmax_test.cpp")
    for order in ("original", "forward"):
        golden.expect(order, log_probabilities(order))
    # all logits 0: 20,000 words and 3 clusters, then the words of a cluster (cut-offs 20,000, 40,000, 200,000; 267,735 words)
    head = np.log(20000 + 3)
    for word, inside in ((5, 1), (20005, 20000), (40005, 160000), (200005, 67735)):
        golden.expect(f"uniform, word {word}", [word, head + np.log(inside)], digits=4)
    exit_with(golden)
