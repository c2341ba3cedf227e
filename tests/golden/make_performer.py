#!/usr/bin/env python3
"""Numbers of tests/golden/performer_test.cpp: attention with the weights phi(q_i) . phi(k_j), pair by pair, for one head of
four numbers over 16 positions."""
import numpy as np

from golden import Golden, exit_with

N, SIZE, FEATURES = 16, 4, 8
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
Q, K, V = np.sin(0.7 * I + 1.3 * J + 0.1), np.cos(0.5 * I - 0.9 * J + 0.2), np.sin(1.1 * I - 0.6 * J + 0.3)
W = 1.5 * np.sin(1.7 * np.arange(FEATURES)[:, None] + 0.9 * J + 0.4)


def exponent(x):
    x = x / SIZE**0.25
    return np.array([w @ x - x @ x / 2 for w in W])


def attention(phi_q, phi_k, causal=False):
    out = np.zeros((N, SIZE))
    for i in range(N):
        seen = range(i + 1) if causal else range(N)
        weights = np.array([phi_q[i] @ phi_k[j] for j in seen])
        out[i] = weights @ V[list(seen)] / weights.sum()
    return out


def main():
    golden = Golden("golden/performer_test.cpp")

    def expect(name, out):
        golden.expect(name, [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)

    queries, keys = np.array([exponent(q) for q in Q]), np.array([exponent(k) for k in K])
    expect("G15a exp", attention(np.exp(queries), np.exp(keys)))
    # performer-pytorch takes the maximum of w . x alone, without the square of x
    along_q, along_k = Q @ W.T / SIZE**0.25, K @ W.T / SIZE**0.25
    square = lambda x: (x * x).sum(1, keepdims=True) / 2 / SIZE**0.5
    public = (np.exp(along_q - square(Q) - along_q.max(1, keepdims=True)) + 1e-4,
              np.exp(along_k - square(K) - along_k.max()) + 1e-4)
    expect("G15b exp, epsilon", attention(*public))
    expect("G15c exp, causal", attention(np.exp(queries), np.exp(keys), causal=True))
    relu = lambda x: np.maximum(x, 0) + 1e-3
    expect("G15d relu alone", attention(relu(Q), relu(K)))
    expect("G15e relu", attention(relu(along_q), relu(along_k)))
    exit_with(golden)


main()
