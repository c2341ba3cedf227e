#!/usr/bin/env python3
"""The numbers of tests/golden/gru_test.cpp: a GRU layer in the form of torch.nn.GRU (Cho et al. 2014, but r falls on the
product with the state).

    r, z = s(W x + b + U h + b'), n = tanh(W_n x + b_n + r (U_n h + b'_n)), h = (1 - z) n + z h
"""
import numpy as np

from golden import Golden, exit_with, gradient, sigmoid, wave

STEPS, WIDTH = 16, 4
ROWS, COLUMNS = np.meshgrid(np.arange(STEPS), np.arange(WIDTH), indexing="ij")


def gru(p):
    h, out = np.zeros(WIDTH), []
    for x in p["x"]:
        a, s = p["w_input"] @ x + p["b_input"], p["w_state"] @ h + p["b_state"]
        r, z = (sigmoid(a[k * WIDTH:(k + 1) * WIDTH] + s[k * WIDTH:(k + 1) * WIDTH]) for k in (0, 1))
        h = (1 - z) * np.tanh(a[2 * WIDTH:] + r * s[2 * WIDTH:]) + z * h
        out.append(h)
    return np.stack(out)


def loss(p):
    return (np.cos(.3 * (WIDTH * ROWS + COLUMNS)) * gru(p)).sum()


if __name__ == "__main__":
    golden = Golden("golden/gru_test.cpp")
    values = {"x": np.sin(1.1 * ROWS - .6 * COLUMNS + .3), "w_input": wave((12, 4), .31, .2, .6),
              "w_state": wave((12, 4), .43, .9, .6), "b_input": wave(12, .7, .1, .3), "b_state": wave(12, .5, -.2, .3)}
    h = gru(values)
    numbers = [("out[0, 0]", h[0, 0]), ("out[7, 2]", h[7, 2]), ("out[15, 3]", h[15, 3]), ("sum", h.sum()),
               ("sizes", np.abs(h).sum()), ("last", h[-1].sum())]
    numbers += [(key, gradient(loss, values, key).sum()) for key in ("x", "w_input", "w_state", "b_state")]
    for name, number in numbers:
        golden.expect(name, number, 10)
    exit_with(golden)
