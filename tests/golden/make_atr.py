#!/usr/bin/env python3
"""The numbers of tests/golden/atr_test.cpp: an ATR layer (Zhang et al. 2018, in the form of bzhangGo/lrn).

    p = W x + b, q = U h + b', h = tanh(s(p + q) p + s(p - q) h)
"""
import numpy as np

from golden import Golden, exit_with, gradient, sigmoid, wave

STEPS, WIDTH = 16, 4
ROWS, COLUMNS = np.meshgrid(np.arange(STEPS), np.arange(WIDTH), indexing="ij")


def atr(values):
    h, out = np.zeros(WIDTH), []
    for x in values["x"]:
        p, q = values["w_input"] @ x + values["b_input"], values["w_state"] @ h + values["b_state"]
        h = np.tanh(sigmoid(p + q) * p + sigmoid(p - q) * h)
        out.append(h)
    return np.stack(out)


def loss(values):
    return (np.cos(.3 * (WIDTH * ROWS + COLUMNS)) * atr(values)).sum()


if __name__ == "__main__":
    golden = Golden("golden/atr_test.cpp")
    values = {"x": np.sin(1.1 * ROWS - .6 * COLUMNS + .3), "w_input": wave((4, 4), .31, .2, .6),
              "w_state": wave((4, 4), .43, .9, .6), "b_input": wave(4, .7, .1, .3), "b_state": wave(4, .5, -.2, .3)}
    h = atr(values)
    numbers = [("out[0, 0]", h[0, 0]), ("out[7, 2]", h[7, 2]), ("out[15, 3]", h[15, 3]), ("sum", h.sum()),
               ("sizes", np.abs(h).sum()), ("last", h[-1].sum())]
    numbers += [(key, gradient(loss, values, key).sum()) for key in values]
    for name, number in numbers:
        golden.expect(name, number, 10)
    exit_with(golden)
