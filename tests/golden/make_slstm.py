#!/usr/bin/env python3
"""The numbers of tests/golden/slstm_test.cpp: xLSTM's sLSTM (Beck et al. 2024, equations 8-15), with cell c, normaliser n
and stabiliser m as the paper has them, and the layer of NX-AI/xlstm around it.

    i, f, z, o = u + R h + b         m = max(log s(f) + m, i), at the first step i
    i' = e^(i - m), f' = e^(log s(f) + m_before - m), c = f' c + i' tanh(z), n = f' n + i', h = s(o) c / n
"""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, norm, sigmoid, wave

STEPS, COLUMNS = 16, 4
I, J = np.meshgrid(np.arange(STEPS), np.arange(COLUMNS), indexing="ij")
WEIGHT = np.cos(.3 * (COLUMNS * I + J))
GATES = {"i": np.cos(.5 * I - .9 * J + .2), "f": np.sin(.9 * I + .4 * J + .6), "z": np.sin(1.1 * I - .6 * J + .3),
         "o": np.sin(.7 * I + 1.3 * J + .1)}


def larger(a, b):
    return np.where(np.real(a) > np.real(b), a, b)


def slstm(u, recurrent, bias):
    """u [T][..., H][4][D], recurrent [H][4][D][D], bias [H][4][D] -> h [T][..., H][D] and the last c / n."""
    h = c = n = np.zeros(u.shape[1:-2] + u.shape[-1:])
    m, out = None, []
    for step in u:
        raw = step + np.einsum("hpij,...hj->...hpi", recurrent, h) + bias
        i, f, z, o = (raw[..., k, :] for k in range(4))
        before = i if m is None else m + np.log(sigmoid(f))
        m = i if m is None else larger(before, i)
        keep, admit = np.exp(before - m), np.exp(i - m)
        c, n = keep * c + admit * np.tanh(z), keep * n + admit
        h = sigmoid(o) * c / n
        out.append(h)
    return np.stack(out), c / n


def sums(golden, name, run, values, weight):
    def loss(p):
        return (weight * run(p)[0]).sum()

    h, c = run(values)
    golden.expect(name, [h.flat[0], h.reshape(STEPS, -1)[7, 2], h.reshape(STEPS, -1)[15, 3], h.sum(), np.abs(h).sum(),
                         c.sum()] + [gradient(loss, values, key).sum() for key in values], 10)


def without_matrix(p):
    u = np.stack([p["i"], p["f"], p["z"], p["o"]], axis=-2)[:, None]
    h, c = slstm(u, np.zeros((1, 4, COLUMNS, COLUMNS)), np.zeros((1, 4, COLUMNS)))
    return h[:, 0], c


def with_matrix(p):
    h, c = slstm(p["u"].reshape(STEPS, 2, 4, 2), p["w_state"], p["bias"])
    return h.reshape(STEPS, 4), c


def layer(p, heads=2, taps=3):
    x, steps = p["x"], len(p["x"])
    shown = np.stack([p["convolution.bias"] + sum(p["convolution.w"][taps - 1 - j] * x[t - j] for j in range(taps) if t >= j)
                      for t in range(steps)])
    shown = shown * sigmoid(shown)
    width = x.shape[-1] // heads
    w = p["w"].reshape(heads, 4, width, width)
    by_head = [each.reshape(*each.shape[:2], heads, width) for each in (shown, shown, x, x)]
    u = np.stack([np.einsum("hij,tbhj->tbhi", w[:, k], by_head[k]) for k in range(4)], axis=-2)
    h, _ = slstm(u, p["w_state"].reshape(heads, 4, width, width), p["bias"].reshape(heads, 4, width))
    return norm(h).reshape(x.shape) * p["gain"]


if __name__ == "__main__":
    golden = Golden("golden/slstm_test.cpp")
    sums(golden, "gates alone", without_matrix, GATES, WEIGHT)
    sums(golden, "matrix", with_matrix,
         {"u": wave((STEPS, 16), .37, .1, 1.5), "w_state": wave((2, 4, 2, 2), .53, .7, .9), "bias": wave((2, 4, 2), .47, .2, .6)},
         WEIGHT)
    d = 6
    shapes = {"convolution.w": (3, d), "convolution.bias": (d,), "w": (4 * d, d // 2), "w_state": (4 * d, d // 2),
              "bias": (4 * d,), "gain": (d,)}
    values = {"x": wave((4, 2, d), .53, .7, 1.3), **{key: wave(shape, .37, .1 * k, .8) for k, (key, shape) in enumerate(shapes.items())}}
    out = layer(values)
    golden.expect("layer out", out, 9)
    golden.expect("layer gradients", [gradient(lambda p: (layer(p) * cosine(out.shape, .3)).sum(), values, key).sum()
                                      for key in values], 9)
    exit_with(golden)
