#!/usr/bin/env python3
"""Numbers of tests/golden/synthesizer_test.cpp: softmax of logits of every kind, entry by entry, times V, for one head of four
numbers over 16 positions."""
import numpy as np

from golden import Golden, exit_with, softmax

N, SIZE = 16, 4
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
Q, K, V = np.sin(0.7 * I + 1.3 * J + 0.1), np.cos(0.5 * I - 0.9 * J + 0.2), np.sin(1.1 * I - 0.6 * J + 0.3)
A, B = np.arange(SIZE)[:, None], np.arange(SIZE)[None, :]


def entries(of):
    return np.array([[of(i, j) for j in range(N)] for i in range(N)])


def dense():
    w1, b1 = np.sin(A + 2 * B + 0.5), 0.1 * np.arange(SIZE)
    w2, b2 = np.cos(0.8 * A - 0.3 * np.arange(N)[None, :]), 0.01 * np.arange(N)
    return np.array([np.maximum(q @ w1 + b1, 0) @ w2 + b2 for q in Q])


def factorised_dense():
    p, s = Q @ np.sin(A + 1.5 * B), Q @ np.cos(0.7 * A + B)
    return entries(lambda i, j: p[i, j % 4] * s[i, j // 4])


def main():
    golden = Golden("golden/synthesizer_test.cpp")

    def expect(name, logits):
        out = softmax(logits) @ V
        golden.expect(name, [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)

    random = entries(lambda i, j: np.sin(0.37 * i * j + 0.1 * i))
    low_rank = entries(lambda i, j: sum(np.sin(0.2 * i + r) * np.cos(0.3 * j - r) for r in range(2)))
    expect("G14a random", random)
    expect("G14b factorised random", low_rank)
    expect("G14c dense", dense())
    expect("G14d factorised dense", factorised_dense())
    shares = softmax(np.array([0.3, -0.2, 0.5, 0.1, -0.4]))
    parts = dense(), random, factorised_dense(), low_rank, Q @ K.T / np.sqrt(SIZE)
    expect("all five", sum(share * part for share, part in zip(shares, parts)))
    exit_with(golden)


main()
