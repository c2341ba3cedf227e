#!/usr/bin/env python3
"""Numbers of tests/golden/attention_test.cpp: rotary positions as transformers' Llama turns them (rotate_half), grouped keys
and values, a window, a gate, ALiBi as in transformers' Bloom, a soft cap as in its Gemma 2, sinks as in its gpt-oss; written
head by head."""
import math
import sys

import numpy as np

from golden import Golden, gradient, sigmoid, softmax, wave

WIDTH, HEADS, STEPS = 8, 4, 6
SIZE = WIDTH // HEADS
SINKS = wave(HEADS, 0.9, 0.3, 1.2)


def turned(x, position, share, base):
    """The first share of a head's numbers; pairs are half of these apart."""
    half = int(round(share * SIZE / 2))
    angle = position * base ** (-np.arange(half) / max(1, half))
    y = x.copy()
    y[:half] = x[:half] * np.cos(angle) - x[half:2 * half] * np.sin(angle)
    y[half:2 * half] = x[half:2 * half] * np.cos(angle) + x[:half] * np.sin(angle)
    return y


def rms_norm(x, epsilon=1e-5):
    """Of each head's numbers, with a gain of 1."""
    heads = x.reshape(x.shape[0], -1, SIZE)
    return (heads / np.sqrt((heads * heads).mean(axis=-1, keepdims=True) + epsilon)).reshape(x.shape)


def slopes(heads):
    """By build_alibi_tensor's rule: those of the largest power of two, then every other one of twice as many."""
    power = 2 ** math.floor(math.log2(heads))
    base = 2 ** -(2 ** -(math.log2(power) - 3))
    found = [base ** i for i in range(1, power + 1)]
    if power != heads:
        base = 2 ** -(2 ** -(math.log2(2 * power) - 3))
        found += [base ** i for i in range(1, 2 * (heads - power) + 1, 2)]
    return found


def attention(kept_heads, window=None, base=None, share=1.0, gated=False, normed=False, alibi=False, cap=None, sinks=False):
    kept = kept_heads * SIZE
    x = wave((STEPS, WIDTH), 0.7, 0.1, 1.5)
    if kept_heads == HEADS:
        weights = wave((3 * WIDTH, WIDTH), 0.37, 0.2, 0.8)
        q, k, v = np.split(x @ weights.T, 3, axis=1)
    else:
        q = x @ wave((WIDTH, WIDTH), 0.37, 0.2, 0.8).T
        k, v = np.split(x @ wave((2 * kept, WIDTH), 0.41, 0.3, 0.8).T, 2, axis=1)
    if normed:
        q, k = rms_norm(q), rms_norm(k)
    mixed = np.zeros((STEPS, WIDTH))
    for h in range(HEADS):
        of = h // (HEADS // kept_heads)
        for i in range(STEPS):
            first = 0 if window is None else max(0, i - window + 1)
            here = slice(h * SIZE, (h + 1) * SIZE)
            there = slice(of * SIZE, (of + 1) * SIZE)
            query = q[i, here] if base is None else turned(q[i, here], i, share, base)
            keys = [k[j, there] if base is None else turned(k[j, there], j, share, base) for j in range(first, i + 1)]
            scores = np.array(keys) @ query / np.sqrt(SIZE)
            if cap:
                scores = np.tanh(scores / cap) * cap
            if alibi:
                scores = scores - slopes(HEADS)[h] * (i - np.arange(first, i + 1))
            if sinks:  # one score more, whose weight is dropped
                mixed[i, here] = softmax(np.append(scores, SINKS[h]))[:-1] @ v[first:i + 1, there]
            else:
                mixed[i, here] = softmax(scores) @ v[first:i + 1, there]
    if gated:
        mixed = mixed * sigmoid(x @ wave((WIDTH, WIDTH), 0.29, 0.6, 0.8).T)
    return mixed @ wave((WIDTH, WIDTH), 0.53, 0.4, 0.8).T


def forgetting(inputs):
    """One head, whose scores lose what gates have let go of since the key."""
    steps, size = inputs["q"].shape
    out = []
    for i in range(steps):
        scores = [inputs["q"][i] @ inputs["k"][j] / np.sqrt(size) + np.log(sigmoid(inputs["f"][j + 1:i + 1])).sum()
                  for j in range(i + 1)]
        out.append(softmax(np.array(scores)) @ inputs["v"][:i + 1])
    return np.array(out)


def expect_forgetting(golden):
    i, j = np.arange(16)[:, None], np.arange(4)[None, :]
    inputs = {"q": np.sin(0.7 * i + 1.3 * j + 0.1), "k": np.cos(0.5 * i - 0.9 * j + 0.2),
              "v": np.sin(1.1 * i - 0.6 * j + 0.3), "f": np.sin(0.9 * i[:, 0] + 0.6)}
    out = forgetting(inputs)
    golden.expect("M13 forgetting", [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)
    weight = np.cos(0.3 * (4 * i + j))
    sums = [gradient(lambda values: (forgetting(values) * weight).sum(), inputs, name).sum() for name in "qkvf"]
    golden.expect("M13 gradients", np.round(sums, 12), 10)


def main():
    golden = Golden("golden/attention_test.cpp")
    cases = {"rotary": dict(kept_heads=4, base=10000.0), "grouped": dict(kept_heads=2),
             "window": dict(kept_heads=4, window=3), "gated": dict(kept_heads=4, gated=True),
             "normed": dict(kept_heads=4, normed=True),
             "alibi": dict(kept_heads=4, alibi=True), "capped": dict(kept_heads=4, cap=0.7),
             "sinks": dict(kept_heads=4, sinks=True),
             "bent": dict(kept_heads=2, window=4, alibi=True, cap=0.9, sinks=True),
             "all": dict(kept_heads=1, base=50.0, window=4, gated=True, normed=True)}
    for name, options in cases.items():
        y = attention(**options)
        golden.expect(name, [y[0, 0], y[3, 5], y[5, 7], y.sum()], 10)
    for heads in (1, 3, 8, 12):
        golden.expect(f"slopes of {heads}", slopes(heads), 10)
    expect_forgetting(golden)
    return golden.end()


sys.exit(main())
