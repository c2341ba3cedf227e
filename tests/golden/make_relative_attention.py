#!/usr/bin/env python3
"""The numbers of tests/golden/relative_attention_test.cpp: the attention of Transformer-XL (Dai et al. 2019, "Transformer-XL:
Attentive Language Models beyond a Fixed-Length Context", section 3.3) with the sinusoids of the authors' code.

    score(i, j) = ((q_i + u) k_j + (q_i + v) r(i - j)) / sqrt(d / heads)      r = R W_r, R(n) = [sin(n w), cos(n w)]

q, k, v are W_qkv of memory and segment; after the norm: norm(x + W_o o), before it: x + W_o o of norm(x) and norm(memory).
With a clamp distances beyond it count as it; with a window a query sees itself and the last W keys before it.
"""
import numpy as np

from golden import Golden, exit_with, norm, softmax, wave

T, M, D, HEADS = 3, 2, 4, 2


def numbered(sizes, seed, scale):
    return wave(sizes, 0.7, seed, scale)


QKV, W_R, W_O = numbered((3 * D, D), 1, 0.3), numbered((D, D), 2, 0.3), numbered((D, D), 3, 0.3)
U, V = numbered(D, 4, 0.3), numbered(D, 5, 0.3)
MEMORY, X = numbered((M, D), 6, 1), numbered((T, D), 7, 1)


def sinusoid(distance):
    frequencies = 10000.0 ** -(np.arange(0, D, 2) / D)
    return np.concatenate([np.sin(distance * frequencies), np.cos(distance * frequencies)])


def attention(x, memory, clamp=10**6, window=10**6):
    """(W_o o of every query, probabilities [head][query][key])."""
    keys = np.concatenate([memory, x])
    q, k, v = x @ QKV[:D].T, keys @ QKV[D:2 * D].T, keys @ QKV[2 * D:].T
    size, out, all_p = D // HEADS, [], []
    for h in range(0, D, size):
        own = slice(h, h + size)
        scores = np.full((T, M + T), -1e30)
        for i in range(T):
            for j in range(max(0, i + M - window), i + M + 1):
                r = W_R @ sinusoid(min(i + M - j, clamp))
                scores[i, j] = ((q[i] + U)[own] @ k[j, own] + (q[i] + V)[own] @ r[own]) / np.sqrt(size)
        p = softmax(scores)
        all_p.append(p)
        out.append(p @ v[:, own])
    return np.concatenate(out, axis=1) @ W_O.T, np.stack(all_p)


def show(golden, name, p):
    golden.expect(f"{name}, head 0 query 0", p[0, 0])
    golden.expect(f"{name}, head 0 query 2", p[0, 2])
    golden.expect(f"{name}, head 1 query 2", p[1, 2])


if __name__ == "__main__":
    golden = Golden("golden/relative_attention_test.cpp")
    golden.expect("R(2)", sinusoid(2))
    out, p = attention(X, MEMORY)
    golden.expect("after the norm", norm(X + out))
    show(golden, "after the norm", p)
    out, p = attention(X, MEMORY, clamp=2)
    golden.expect("clamp of 2, last row", norm(X + out)[2])
    show(golden, "clamp of 2", p)
    out, p = attention(X, MEMORY, window=2)
    golden.expect("window of 3 keys, last row", norm(X + out)[2])
    show(golden, "window of 3 keys", p)
    out, p = attention(norm(X), norm(MEMORY))
    golden.expect("before the norm, last row", (X + out)[2])
    show(golden, "before the norm", p)
    exit_with(golden)
