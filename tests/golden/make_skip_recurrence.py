#!/usr/bin/env python3
"""The numbers of tests/golden/skip_recurrence_test.cpp: Skip RNN (Campos et al. 2018, equations 1-7) around element-wise cells,
whose formulas are those of make_recurrences.py.

    m = m + min(p, 1 - m), u = round(m), c = u c' + (1 - u) c, p = u s(w . c' + b) + (1 - u) p, m = (1 - u) m

The rounding's gradient is 1 (straight-through). The loss has a cost for each update.
"""
import numpy as np

from golden import Golden, exit_with, gradient, sigmoid
from make_recurrences import COLUMNS, D, INPUTS, N, ROWS, lrn, min_lstm, qrnn_fo

COST = .37


def rounded(m):
    """Half to even, as TensorFlow and torch round; a complex step passes through."""
    return np.round(np.real(m)) + 1j * np.imag(m)


def smaller(a, b):
    return a if np.real(a) < np.real(b) else b


def skipping(cell, letters, p):
    c = h = np.zeros(D)
    probability, m, out, updates = 1.0, 0.0, [], []
    for t in range(N):
        m = m + smaller(probability, 1 - m)
        u = rounded(m)
        fresh_c, fresh_h = cell(c, *(p[letter][t] for letter in letters))
        c, h = u * fresh_c + (1 - u) * c, u * fresh_h + (1 - u) * h
        probability = u * sigmoid((p["w"] * fresh_c).sum() + p["b"]) + (1 - u) * probability
        m = (1 - u) * m
        out.append(h)
        updates.append(u)
    return np.stack(out), np.stack(updates), c


def case(golden, name, cell, letters, w, b, cost):
    values = {letter: INPUTS[letter] for letter in letters}
    values.update({"w": np.array(w), "b": np.array(b)})
    weight = np.cos(.3 * (D * ROWS + COLUMNS))

    def loss(p):
        out, updates, _ = skipping(cell, letters, p)
        return (weight * out).sum() + cost * updates.sum()

    h, updates, c = (np.real(each) for each in skipping(cell, letters, values))
    golden.expect(name + " updates", updates, 0)
    golden.expect(name, [h[0, 0], h[7, 2], h[15, 3], h.sum(), np.abs(h).sum(), c.sum()]
                  + [gradient(loss, values, key).sum() for key in values], 10)


if __name__ == "__main__":
    golden = Golden("golden/skip_recurrence_test.cpp")
    case(golden, "LRN", lrn, "KQV", [1.3 / 4] * 4, -.4, 0)
    case(golden, "LRN with a cost", lrn, "KQV", [.9, -1.1, .7, -.3], -.6, COST)
    case(golden, "minLSTM", min_lstm, "VFK", [-.4, .5, -.7, .3], -1.1, COST)
    case(golden, "QRNN fo", qrnn_fo, "VFK", [1.9, 1.4, -1.2, .8], -.9, COST)
    exit_with(golden)
