#!/usr/bin/env python3
"""The numbers of tests/golden/recurrences_test.cpp: element-wise recurrences, step by step, and the layers around them.

Cells, with s(x) the logistic function, c of the step before on the right, products element by element:

    minGRU   (Feng et al. 2024)         c = (1 - s(z)) c + s(z) g(v), g(v) = v + 1/2 for v >= 0, else s(v)
    minLSTM  (the same)                 c = f c + i g(v), f and i = s(.) over the sum of both
    LRN      (Zhang, Sennrich 2019)     c = tanh(s(p + c) r + s(q - c) c); a second form without tanh
    SSRU     (Kim et al. 2019)          c = s(f + b) c + (1 - s(f + b)) v, h = max(0, c)
    RG-LRU   (De et al. 2024)           a = exp(rate s(r)), c = a c + sqrt(1 - a^2) s(i) x
    QRNN     (Bradbury et al. 2017)     c = f c + (1 - f) z or f c + i z, h = c or o c, z = tanh(.)

Layers are those of Griffin's recurrent block and of the QRNN with a window of several tokens.
"""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, sigmoid, wave

N, D = 16, 4
ROWS, COLUMNS = np.meshgrid(np.arange(N), np.arange(D), indexing="ij")
INPUTS = {
    "Q": np.sin(.7 * ROWS + 1.3 * COLUMNS + .1), "K": np.cos(.5 * ROWS - .9 * COLUMNS + .2),
    "V": np.sin(1.1 * ROWS - .6 * COLUMNS + .3), "F": np.sin(.9 * ROWS + .4 * COLUMNS + .6),
}
RATE = -8 * np.log1p(np.exp(-4))


def where(condition, a, b):
    return np.where(np.real(condition), a, b)


def candidate(v):
    return where(np.real(v) >= 0, v + .5, sigmoid(v))


def min_gru(c, v, z):
    c = (1 - sigmoid(z)) * c + sigmoid(z) * candidate(v)
    return c, c


def min_lstm(c, v, f, i):
    f, i = sigmoid(f), sigmoid(i)
    c = (f * c + i * candidate(v)) / (f + i)
    return c, c


def lrn(c, p, q, r):
    c = np.tanh(sigmoid(p + c) * r + sigmoid(q - c) * c)
    return c, c


def lrn_linear(c, p, q, r):
    c = sigmoid(p + c) * r + sigmoid(q - c) * c
    return c, c


def ssru(c, v, f):
    f = sigmoid(f)
    c = f * c + (1 - f) * v
    return c, where(np.real(c) > 0, c, 0)


def rg_lru(c, r, i, x):
    a = np.exp(RATE * sigmoid(r))
    c = a * c + np.sqrt(1 - a * a) * sigmoid(i) * x
    return c, c


def qrnn_f(c, z, f):
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(z)
    return c, c


def qrnn_fo(c, z, f, o):
    c, _ = qrnn_f(c, z, f)
    return c, sigmoid(o) * c


def qrnn_ifo(c, z, f, o, i):
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
    return c, sigmoid(o) * c


def qrnn_admit_f(c, z, f):
    c = sigmoid(f) * np.tanh(z) + (1 - sigmoid(f)) * c
    return c, c


def qrnn_admit_fo(c, z, f, o):
    c, _ = qrnn_admit_f(c, z, f)
    return c, sigmoid(o) * c


CELLS = [("minGRU", min_gru, "VF"), ("minLSTM", min_lstm, "VFK"), ("LRN", lrn, "KQV"), ("LRN linear", lrn_linear, "KQV"),
         ("RG-LRU", rg_lru, "FKV"), ("SSRU", ssru, "VF"), ("QRNN f", qrnn_f, "VF"), ("QRNN fo", qrnn_fo, "VFK"),
         ("QRNN ifo", qrnn_ifo, "VFKQ"), ("QRNN admit f", qrnn_admit_f, "VF"), ("QRNN admit fo", qrnn_admit_fo, "VFK")]


def run(cell, planes, c):
    out = []
    for t in range(len(planes[0])):
        c, h = cell(c, *(plane[t] for plane in planes))
        out.append(h)
    return np.stack(out), c


def cells(golden):
    """Over the inputs of 16 steps and 4 columns: three outputs, sums, and the sum of each input's gradient."""
    weight = np.cos(.3 * (4 * ROWS + COLUMNS))
    for name, cell, letters in CELLS:
        values = {letter: INPUTS[letter] for letter in letters}

        def loss(p):
            return (weight * run(cell, [p[letter] for letter in letters], np.zeros(D))[0]).sum()

        h, c = run(cell, [values[letter] for letter in letters], np.zeros(D))
        golden.expect(name, [h[0, 0], h[7, 2], h[15, 3], h.sum(), np.abs(h).sum(), c.sum()]
                      + [gradient(loss, values, letter).sum() for letter in letters], 10)


def layer_case(golden, name, layer, parameters, x):
    """Outputs of a layer and the sum of the gradient of its input and of each parameter, in their order."""
    def loss(p):
        out = layer(p)
        return (out * cosine(out.shape, 0.3)).sum()

    values = {"x": x, **parameters}
    golden.expect(name + " out", layer(values).real, 9)
    golden.expect(name + " gradients", [gradient(loss, values, key).sum() for key in values], 9)


def griffin(p):
    """[T][B][d] through w_y, w_x, a convolution of 3 taps, gates in 2 blocks, the recurrence from zeros, w_out."""
    x, steps = p["x"], len(p["x"])
    y = x @ p["w_y"].T + p["b_y"]
    y = .5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + .044715 * y ** 3)))
    u = x @ p["w_x"].T + p["b_x"]
    taps = len(p["convolution.w"])
    z = np.stack([p["convolution.bias"] + sum(p["convolution.w"][taps - 1 - j] * u[t - j] for j in range(taps) if t >= j)
                  for t in range(steps)])
    heads, block = 2, z.shape[-1] // 2
    w = p["w_gates"].reshape(heads, 2, block, block)
    parts = z.reshape(*z.shape[:2], heads, block)
    r, i = (np.einsum("tbhe,hoe->tbho", parts, w[:, gate]).reshape(z.shape) + p["b_gates"][gate] for gate in (0, 1))
    rate, c, out = -8 * np.log(1 + np.exp(p["l"])), 0, []
    for t in range(steps):
        a = np.exp(rate * sigmoid(r[t]))
        c = a * c + (np.sqrt(1 - a * a) if t else 1) * sigmoid(i[t]) * z[t]
        out.append(c)
    return np.stack(out) * y @ p["w_out"].T + p["b_out"]


def quasi(p, window=3):
    """QRNN with fo-pooling over windows, newest token first."""
    x, steps = p["x"], len(p["x"])
    width = x.shape[-1]
    seen = np.stack([np.concatenate([x[t - j] if t >= j else np.zeros_like(x[0]) for j in range(window)], -1) for t in range(steps)])
    u = seen @ p["w"].T
    planes = [u[..., k * width:(k + 1) * width] + p["bias"][k] for k in range(3)]
    return run(qrnn_fo, planes, np.zeros_like(x[0]))[0]


def layers(golden):
    steps, batch, d, inner, taps = 4, 2, 3, 4, 3
    x = wave((steps, batch, d), 0.53, 0.7, 1.3)
    shapes = {"w_y": (inner, d), "b_y": (inner,), "w_x": (inner, d), "b_x": (inner,), "convolution.w": (taps, inner),
              "convolution.bias": (inner,), "w_gates": (2 * inner, inner // 2), "b_gates": (2, inner), "l": (inner,),
              "w_out": (d, inner), "b_out": (d,)}
    layer_case(golden, "Griffin", griffin, {key: wave(shape, 0.37, 0.1 * n, 0.8) for n, (key, shape) in enumerate(shapes.items())}, x)
    shapes = {"w": (3 * d, 3 * d), "bias": (3, d)}
    layer_case(golden, "QRNN layer", quasi, {key: wave(shape, 0.37, 0.1 * n, 0.8) for n, (key, shape) in enumerate(shapes.items())}, x)


if __name__ == "__main__":
    golden = Golden("golden/recurrences_test.cpp")
    cells(golden)
    layers(golden)
    exit_with(golden)
