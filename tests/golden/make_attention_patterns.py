#!/usr/bin/env python3
"""Numbers of tests/golden/attention_patterns_test.cpp: sparse attentions as one masked softmax, pair by pair, for one head of
four numbers over 16 positions, and what longer sequences see."""
import sys

import numpy as np

from golden import Golden, softmax, wave

N, SIZE = 16, 4
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
Q, K, V = np.sin(0.7 * I + 1.3 * J + 0.1), np.cos(0.5 * I - 0.9 * J + 0.2), np.sin(1.1 * I - 0.6 * J + 0.3)


def attention(sees, q=Q, k=K, v=V):
    scores = np.where(sees, q @ k.T / np.sqrt(SIZE), -np.inf)
    return softmax(scores) @ v


def pairs(rule, n=N):
    return np.array([[bool(rule(i, j)) for j in range(n)] for i in range(n)])


def strided(n, l):
    return pairs(lambda i, j: j <= i and (i - j < l or (i - j) % l == 0), n)


def fixed(n, l, c, head=0):
    return pairs(lambda i, j: j <= i and (i // l == j // l or l - c * (head + 1) <= j % l < l - c * head), n)


def window(n, back, ahead):
    return pairs(lambda i, j: i - back <= j <= i + ahead, n)


def dilated(n, w, s):
    return pairs(lambda i, j: (i - j) % s == 0 and abs(i - j) <= w * s, n)


def longformer(w):
    return pairs(lambda i, j: abs(i - j) <= w or i == 0 or j == 0)


def blockbert(blocks, shift):
    return pairs(lambda i, j: j * blocks // N == (i * blocks // N + shift) % blocks)


def bigbird(block, random):
    blocks = N // block
    rows = [set(range(blocks)) if a in (0, blocks - 1) else {0, a - 1, a, a + 1, blocks - 1} | {random[a]} for a in range(blocks)]
    return pairs(lambda i, j: j // block in rows[i // block])


def global_projections():
    """Token 0 global with Q, K and V of its own, made of the same ones turned backwards in time."""
    out = attention(longformer(2))
    out[0] = softmax(Q[-1] @ K[::-1].T / np.sqrt(SIZE)) @ V[::-1]
    return out


def main():
    golden = Golden("golden/attention_patterns_test.cpp")
    random = {1: 4, 2: 5, 3: 6, 4: 1, 5: 2, 6: 3}
    cases = {"G3a window": window(N, 2, 2), "G4 dilated": dilated(N, 2, 2), "G5 longformer": longformer(2),
             "G6a strided": strided(N, 4), "G6b fixed": fixed(N, 4, 1), "G7a cascade 0": window(N, 1, 0),
             "G7b cascade 1": window(N, 3, 0), "G7c cascade 2": window(N, 7, 0), "G8a blockbert": blockbert(4, 0),
             "G8b blockbert": blockbert(4, 1), "G10 bigbird": bigbird(2, random), "fixed, second head": fixed(N, 4, 1, 1)}
    for name, sees in cases.items():
        out = attention(sees)
        golden.expect(name, [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)
        golden.expect(name + " pairs", [sees.sum()], 0)
    out = global_projections()
    golden.expect("own projections", [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)
    golden.expect("strided, 4096", [strided(4096, 64).sum()], 0)
    golden.expect("fixed, 4096", [fixed(4096, 128, 8).sum()], 0)
    return golden.end()


sys.exit(main())
