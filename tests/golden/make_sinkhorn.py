#!/usr/bin/env python3
"""Numbers of tests/golden/sinkhorn_test.cpp: attention to sorted blocks, query by query, for one head of four numbers over 16
positions."""
import numpy as np

from golden import Golden, exit_with, softmax

N, SIZE, BLOCK = 16, 4, 4
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
Q, K, V = np.sin(0.7 * I + 1.3 * J + 0.1), np.cos(0.5 * I - 0.9 * J + 0.2), np.sin(1.1 * I - 0.6 * J + 0.3)


def sinkhorn(r, iterations):
    p = np.exp(r)
    for _ in range(iterations):
        p = p / p.sum(1, keepdims=True)
        p = p / p.sum(0, keepdims=True)
    return p


def attention(p, n=N):
    blocks = len(p)
    out = np.zeros((n, SIZE))
    at = lambda x, j: x[j] if j < n else np.zeros(SIZE)
    for i in range(n):
        u = i // BLOCK
        keys, values = [], []
        for t in range(BLOCK):
            if np.argmax(p[u]) * BLOCK + t < n:  # else its largest part is not there
                keys.append(sum(p[u, v] * at(K, v * BLOCK + t) for v in range(blocks)))
                values.append(sum(p[u, v] * at(V, v * BLOCK + t) for v in range(blocks)))
        for j in range(u * BLOCK, min(n, u * BLOCK + BLOCK)):
            keys.append(K[j])
            values.append(V[j])
        out[i] = softmax(np.array(keys) @ Q[i] / np.sqrt(SIZE)) @ np.array(values)
    return out


def layer(n, temperature, iterations):
    starts = range(0, n, BLOCK)
    q = [Q[s:min(n, s + BLOCK)].mean(0) for s in starts]
    k = [K[s:min(n, s + BLOCK)].mean(0) for s in starts]
    r = np.array([[max(0, a @ b / np.sqrt(SIZE)) for b in k] for a in q])
    return attention(sinkhorn(np.log(r + 1e-6) / temperature, iterations), n)


def main():
    golden = Golden("golden/sinkhorn_test.cpp")
    u = np.arange(4)
    p = sinkhorn(np.sin(u[:, None] + 2 * u[None, :]), 8)
    golden.expect("operator", p, 10)
    out = attention(p)
    golden.expect("G9a", [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)
    for n in (16, 13):
        out = layer(n, 0.75, 7)
        golden.expect(f"layer, {n} positions", [out[0, 0], out[7, 2], out[n - 1, 3], out.sum(), np.abs(out).sum()], 10)
    exit_with(golden)


main()
