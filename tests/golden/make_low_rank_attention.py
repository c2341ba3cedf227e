#!/usr/bin/env python3
"""Numbers of tests/golden/low_rank_attention_test.cpp: attentions of low rank for one head of four numbers over 16 positions,
written out query by query."""
import numpy as np

from golden import Golden, exit_with, softmax

N, SIZE = 16, 4
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
Q, K, V = np.sin(0.7 * I + 1.3 * J + 0.1), np.cos(0.5 * I - 0.9 * J + 0.2), np.sin(1.1 * I - 0.6 * J + 0.3)


def five(out):
    return [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()]


def linformer(to_keys, to_values):
    keys = np.array([sum(to_keys[i, r] * K[i] for i in range(N)) for r in range(to_keys.shape[1])])
    values = np.array([sum(to_values[i, r] * V[i] for i in range(N)) for r in range(to_values.shape[1])])
    return np.array([softmax(keys @ q / np.sqrt(SIZE)) @ values for q in Q])


def iterated(a, times):
    """The inverse of A that the iteration has after so many times."""
    z, eye = a.T / (np.abs(a).sum(0).max() * np.abs(a).sum(1).max()), np.eye(len(a))
    for _ in range(times):
        z = z @ (13 * eye - a @ z @ (15 * eye - a @ z @ (7 * eye - a @ z))) / 4
    return z


def nystrom(m, inverse, taps=(), n=N):
    size = -(-n // m)
    means = lambda x: np.array([x[at:min(n, at + size)].mean(0) for at in range(0, n, size)])
    q, k, v = Q[:n], K[:n], V[:n]
    weights = lambda queries, keys: softmax(queries @ keys.T / np.sqrt(SIZE))
    out = weights(q, means(k)) @ inverse(weights(means(q), means(k))) @ weights(means(q), k) @ v
    for i in range(n):
        for at, tap in enumerate(taps):
            if 0 <= i + at - len(taps) // 2 < n:
                out[i] += tap * v[i + at - len(taps) // 2]
    return out


def main():
    golden = Golden("golden/low_rank_attention_test.cpp")
    rank = np.arange(4)[None, :]
    to_keys, to_values = np.cos(0.2 * I * (rank + 1)) / 16, np.sin(0.3 * I + 0.5 * rank) / 16
    golden.expect("G12 linformer", five(linformer(to_keys, to_values)), 10)
    golden.expect("linformer, one projection", five(linformer(to_keys, to_keys)), 10)
    for line, m in zip("abc", (2, 4, 8)):
        golden.expect(f"G13{line} nystrom, inverse", five(nystrom(m, np.linalg.pinv)), 10)
    for line, m in zip("defg", (2, 4, 8, 16)):
        golden.expect(f"G13{line} nystrom, 6 iterations", five(nystrom(m, lambda a: iterated(a, 6))), 10)
    taps = 0.3 * np.cos(0.8 * np.arange(5))
    golden.expect("nystrom, uneven pieces and a convolution", five(nystrom(5, lambda a: iterated(a, 6), taps)), 10)
    exit_with(golden)


main()
