#!/usr/bin/env python3
"""The numbers of tests/golden/trans_blstm_test.cpp: TRANS-BLSTM's layer in both forms (Huang et al. 2020, section 3), row by
row and position by position, with rows of two lengths: what is padding, no other position sees.

    a = norm(x + attention(x))
    replace    y = norm(a + lstm(a))                        lstm(x) = W [forward; backward] + b
    parallel   y = norm(a + feed_forward(a) + lstm(x))
"""
import numpy as np

from golden import Golden, cosine, exit_with, gelu, gradient, norm, sigmoid, softmax, wave

STEPS, LENGTHS, D, HEADS, UNITS, INNER = 4, (4, 3), 4, 2, 3, 5


def attention(x, p):
    q, k, v = np.split(x @ p["attention.qkv"].T + p["attention.qkv_bias"], 3, axis=-1)
    size, mixed = D // HEADS, []
    for head in range(HEADS):
        of = slice(head * size, (head + 1) * size)
        mixed.append(softmax(q[:, of] @ k[:, of].T / np.sqrt(size)) @ v[:, of])
    return np.concatenate(mixed, axis=-1) @ p["attention.out"].T + p["attention.out_bias"]


def lstm(x, p, way):
    h = c = np.zeros(UNITS)
    out = []
    for step in x:
        i, f, g, o = np.split(p[way + ".w_input"] @ step + p[way + ".b_input"] + p[way + ".w_state"] @ h + p[way + ".b_state"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.stack(out)


def both_ways(x, p):
    return np.concatenate([lstm(x, p, "forward"), lstm(x[::-1], p, "backward")[::-1]], axis=-1) @ p["out"].T + p["out_bias"]


def feed_forward(x, p):
    return gelu(x @ p["feed_forward.w1"].T + p["feed_forward.b1"]) @ p["feed_forward.w2"].T + p["feed_forward.b2"]


def layer(p, parallel):
    rows = []
    for row, length in enumerate(LENGTHS):
        x = p["x"][:length, row]
        a = norm(x + attention(x, p), p["attention_norm.gain"], p["attention_norm.bias"])
        y = a + feed_forward(a, p) + both_ways(x, p) if parallel else a + both_ways(a, p)
        rows.append(norm(y, p["norm.gain"], p["norm.bias"]))
    return rows


def case(golden, name, parallel):
    shapes = {"attention.qkv": (3 * D, D), "attention.qkv_bias": (3 * D,), "attention.out": (D, D), "attention.out_bias": (D,),
              "attention_norm.gain": (D,), "attention_norm.bias": (D,)}
    if parallel:
        shapes.update({"feed_forward.w1": (INNER, D), "feed_forward.w2": (D, INNER), "feed_forward.b1": (INNER,),
                       "feed_forward.b2": (D,)})
    for way in ("forward", "backward"):
        shapes.update({way + ".w_input": (4 * UNITS, D), way + ".w_state": (4 * UNITS, UNITS), way + ".b_input": (4 * UNITS,),
                       way + ".b_state": (4 * UNITS,)})
    shapes.update({"out": (D, 2 * UNITS), "out_bias": (D,), "norm.gain": (D,), "norm.bias": (D,)})
    values = {"x": wave((STEPS, len(LENGTHS), D), .53, .7, 1.3)}
    values.update({key: wave(shape, .37, .1 * n, .8) + (1 if key.endswith("gain") else 0) for n, (key, shape) in enumerate(shapes.items())})
    weights = cosine((STEPS, len(LENGTHS), D), .3)

    def loss(p):
        return sum((weights[:length, row] * y).sum() for row, (length, y) in enumerate(zip(LENGTHS, layer(p, parallel))))

    for row, y in enumerate(layer(values, parallel)):
        golden.expect(f"{name} row {row}", y, 9)
    # weighted, for many sums are 0: a norm takes constants off
    golden.expect(name + " gradients",
                  [(gradient(loss, values, key) * wave(values[key].shape, .7, .2, 1)).sum() for key in values], 9)


if __name__ == "__main__":
    golden = Golden("golden/trans_blstm_test.cpp")
    case(golden, "parallel", True)
    case(golden, "replace", False)
    exit_with(golden)
