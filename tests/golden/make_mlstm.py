#!/usr/bin/env python3
"""The numbers of tests/golden/mlstm_test.cpp: xLSTM's mLSTM (Beck et al. 2024, equations 19-27) step by step, with cell C,
normaliser n and stabiliser m as the paper has them, and the layer of xLSTM 7B around it (NX-AI/xlstm, xlstm_large).

    m = max(log s(f) + m, i), i' = e^(i - m), f' = e^(log s(f) + m_before - m)
    C = f' C + i' v k^T, n = f' n + i' k, h = C q / max(|n q|, e^-m), q over the root of its size
"""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, norm, sigmoid, wave

STEPS, SIZE = 16, 4
I, J = np.arange(STEPS)[:, None], np.arange(SIZE)
INPUTS = {"q": np.sin(.7 * I + 1.3 * J + .1), "k": np.cos(.5 * I - .9 * J + .2), "v": np.sin(1.1 * I - .6 * J + .3),
          "i": np.cos(.6 * np.arange(STEPS) - .3), "f": np.sin(.9 * np.arange(STEPS) + .6)}


def larger(a, b):
    return a if np.real(a) > np.real(b) else b


def size(a):
    return a if np.real(a) >= 0 else -a


def mlstm(q, k, v, i, f):
    """One head: h [T][value], and C e^m."""
    c, n, m = np.zeros((v.shape[1], k.shape[1])), np.zeros(k.shape[1]), 0.0
    out = []
    for t in range(len(q)):
        decayed = m - np.log(1 + np.exp(-f[t]))
        m = larger(decayed, i[t])
        keep, admit = np.exp(decayed - m), np.exp(i[t] - m)
        c, n = keep * c + admit * np.outer(v[t], k[t]), keep * n + admit * k[t]
        query = q[t] / np.sqrt(q.shape[1])
        out.append(c @ query / larger(size(n @ query), np.exp(-m)))
    return np.stack(out), c * np.exp(m)


def cell(golden, name, inputs):
    def run(p):
        return mlstm(p["q"], p["k"], p["v"], p["i"], p["f"])

    weight = np.cos(.3 * (SIZE * I + J))
    h, c = run(inputs)
    golden.expect(name, [h[0, 0], h[7, 2], h[15, 3], h.sum(), np.abs(h).sum(), c.sum()]
                  + [gradient(lambda p: (weight * run(p)[0]).sum(), inputs, key).sum() for key in inputs], 10)


def layer(p, heads, keys, values, cap):
    x = p["x"]
    q, k, v = np.split(x @ p["qkv"].T, [keys, 2 * keys], axis=-1)
    i, f = np.split(cap * np.tanh((x @ p["gates"].T + p["gates_bias"]) / cap), 2, axis=-1)
    parts = []
    for head in range(heads):
        key, value = slice(head * keys // heads, (head + 1) * keys // heads), slice(head * values // heads, (head + 1) * values // heads)
        parts.append(np.stack([norm(mlstm(q[:, b, key], k[:, b, key], v[:, b, value], i[:, b, head], f[:, b, head])[0])
                               for b in range(x.shape[1])], axis=1))
    return (sigmoid(x @ p["gate"].T) * p["gain"] * np.concatenate(parts, axis=-1)) @ p["out"].T


if __name__ == "__main__":
    golden = Golden("golden/mlstm_test.cpp")
    cell(golden, "mLSTM", INPUTS)
    cell(golden, "mLSTM, wide gates", {**INPUTS, "i": 3 * INPUTS["i"], "f": INPUTS["f"] + 2})
    d, heads, keys, values, cap = 6, 2, 4, 6, 2.5
    shapes = {"qkv": (2 * keys + values, d), "gates": (2 * heads, d), "gates_bias": (2 * heads,), "gate": (values, d),
              "gain": (values,), "out": (d, values)}
    p = {"x": wave((5, 2, d), .53, .7, 1.3), **{key: wave(shape, .37, .1 * n, .8) for n, (key, shape) in enumerate(shapes.items())}}
    out = layer(p, heads, keys, values, cap)
    golden.expect("layer out", out, 9)
    golden.expect("layer gradients", [gradient(lambda z: (layer(z, heads, keys, values, cap) * cosine(out.shape, .3)).sum(), p, key).sum()
                                      for key in p], 9)
    exit_with(golden)
