#!/usr/bin/env python3
"""The numbers of tests/golden/srupp_test.cpp: the SRU++ layer (Lei 2021, "When Attention Meets Fast Recurrence", section 3; details
as in the authors' package `sru` 3.0.0.dev6, SRUppAttention and SRUppProjectedLinear).

    Z = [memory; x] W1', q = the rows of x in Z, [k, v] = Z W2', O = scale softmax(q k' / sqrt(d / heads)) v + q
    U = norm(O) W3', then SRU's recurrence with the skip x;   without attention U = norm(x W1') W3'

Rows of W3 are interleaved as in the package (unit, plane); a query sees all memory and itself and earlier ones, or with a
window the last W + 1 of these. Bidirectional, it sees all that is no padding, and the second half of the width, W3's rows of it interleaved for
themselves, runs backwards; nothing is carried.
"""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, norm, softmax, wave
from make_sru import forward

T, M, D = 3, 2, 4


def inputs():
    bias = np.stack([wave(4, 1.3, -0.4, 0.5), np.full(4, -2.0)])
    return {"w1": wave((4, 4), 0.31, 0.2, 0.7), "w2": wave((8, 4), 0.43, 0.9, 0.8), "w3": wave((12, 4), 0.29, 0.4, 0.9),
            "scale": np.array(0.5), "gain": 1 + wave(4, 1.1, 0, 0.1), "norm_bias": wave(4, 0.6, 0.3, 0.2),
            "v": wave((2, 4), 0.91, 0.3, 1.0), "bias": bias, "x": wave((T, D), 0.53, 0.7, 0.9),
            "memory": wave((M, D), 0.47, 1.1, 0.8), "c0": wave((1, D), 0.77, 0.2, 0.6)}


def attended(p, heads, window, both_ways=False, pad=()):
    """The attention's output [T][d] before the norm."""
    z = np.concatenate([p["memory"], p["x"]]) @ p["w1"].T
    memory = len(p["memory"])
    q = z[memory:]
    k, v = np.split(z @ p["w2"].T, 2, axis=1)
    query, key = np.arange(T)[:, None] + memory, np.arange(memory + T)[None]
    hidden = (key > query) | (key < query - window)
    if both_ways:
        hidden = np.isin(key, pad) & (query >= 0)
    size = D // heads
    mixed = [softmax(np.where(hidden, -1e30, q[:, h:h + size] @ k[:, h:h + size].T / np.sqrt(size))) @ v[:, h:h + size]
             for h in range(0, D, size)]
    return p["scale"] * np.concatenate(mixed, axis=1) + q


def layer(p, heads=1, window=10**6, attention=True):
    before = attended(p, heads, window) if attention else p["x"] @ p["w1"].T
    u = norm(before, p["gain"], p["norm_bias"]) @ p["w3"].T
    return forward({**p, "u": u.reshape(T, 1, 1, D, 3), "x": p["x"][:, None]}, T, 1, D)


def both_ways(p, pad=()):
    """h [T][D] of a segment that nothing stands before; in padding what reaches h is not compared."""
    p = {**p, "memory": np.zeros((0, D)), "c0": np.zeros((1, D))}
    u = norm(attended(p, 1, 0, True, pad), p["gain"], p["norm_bias"]) @ p["w3"].T
    return forward({**p, "u": u.reshape(T, 1, 2, D // 2, 3), "x": p["x"][:, None]}, T, 1, D // 2, directions=2, pad=pad)[0]


def loss_both_ways(p, pad=()):
    h = both_ways(p, pad)
    return (h * cosine(h.shape, 0.3)).sum()


def loss(p, **more):
    h, c = layer(p, **more)
    return (h * cosine(h.shape, 0.3)).sum() + (c * cosine(c.shape, 0.5, 0.2)).sum()


if __name__ == "__main__":
    golden = Golden("golden/srupp_test.cpp")
    p = inputs()
    h, c = layer(p)
    golden.expect("loss", loss(p).real)
    golden.expect("h", h.real)
    golden.expect("last c", c.real)
    for name in ("scale", "w1", "gain", "norm_bias", "x", "memory"):
        golden.expect(f"d{name}", gradient(loss, p, name))
    dw2, dw3 = gradient(loss, p, "w2"), gradient(loss, p, "w3")
    golden.expect("dW2 row 1", dw2[0])
    golden.expect("dW2 row 5, the first of the values", dw2[4])
    golden.expect("dW3 row 1", dw3[0])
    golden.expect("loss, two heads", loss(p, heads=2).real)
    golden.expect("loss, a window of 2", loss(p, window=2).real)
    golden.expect("loss, no memory", loss({**p, "memory": np.zeros((0, D))}).real)
    golden.expect("loss, no attention", loss(p, attention=False).real)
    golden.expect("h, both ways", both_ways(p).real)
    for name in ("scale", "w1", "w2", "w3", "x"):
        golden.expect(f"d{name}, both ways", gradient(loss_both_ways, p, name))
    golden.expect("h, both ways, the last step padding", both_ways(p, (T - 1,)).real)
    exit_with(golden)
