#!/usr/bin/env python3
"""Numbers of tests/golden/feed_forward_test.cpp: activations as transformers has them, gates as in Shazeer 2020."""
import sys

import numpy as np

from golden import Golden, sigmoid, wave

WIDTH, INNER, STEPS = 4, 6, 5


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


def relu(x):
    return np.maximum(x, 0)


PLAIN = {"gelu_tanh": gelu_tanh, "squared_relu": lambda x: relu(x) ** 2}
GATES = {"glu": sigmoid, "swiglu": lambda x: x * sigmoid(x), "geglu": gelu_tanh, "reglu": relu}


def delta(name):
    x = wave((STEPS, WIDTH), 0.7, 0.1, 1.5)
    rows = INNER * (2 if name in GATES else 1)
    inner = x @ wave((rows, WIDTH), 0.37, 0.2, 1.0).T + wave(rows, 0.9, 0.3, 0.5)
    inner = GATES[name](inner[:, :INNER]) * inner[:, INNER:] if name in GATES else PLAIN[name](inner)
    return inner @ wave((WIDTH, INNER), 0.53, 0.4, 1.0).T + wave(WIDTH, 1.1, 0.5, 0.5)


def main():
    golden = Golden("golden/feed_forward_test.cpp")
    for name in list(PLAIN) + list(GATES):
        y = delta(name)
        golden.expect(name, [y[0, 0], y[2, 1], y[4, 3], y.sum()], 10)
    return golden.end()


sys.exit(main())
