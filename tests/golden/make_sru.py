#!/usr/bin/env python3
"""The numbers of tests/golden/sru_test.cpp: the SRU recurrence (Lei et al. 2018, "Simple Recurrent Units for Highly
Parallelizable Recurrence", equations 1 to 4, in the form of the authors' package `sru`, where both gates read c of before).

    f = sigmoid(u1 + v_f c + b_f), r = sigmoid(u2 + v_r c + b_r), c' = f c + (1 - f) u0, h = x' + (c' - x') m r

with x' = alpha x, or u3 with four planes; m is a dropout mask of a column. A padded step keeps c, and its h is 0. Of two
directions the second starts at the last step.
"""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, sigmoid, wave


def forward(p, steps, batch, width, directions=1, alpha=1.0, mask=1.0, pad=()):
    """h [T][B][dir * d] and the last c [B][dir * d]; u is [T][B][dir][d][planes]."""
    columns = directions * width
    u = p["u"].reshape(steps, batch, columns, -1)
    (v_f, v_r), (b_f, b_r) = p["v"], p["bias"]
    h, last = np.zeros((steps, batch, columns), complex), p["c0"].astype(complex)
    for direction in range(directions):
        own = slice(direction * width, (direction + 1) * width)
        for t in range(steps) if direction == 0 else reversed(range(steps)):
            if t in pad:
                continue
            now, c = u[t, :, own], last[:, own].copy()
            f = sigmoid(now[..., 1] + v_f[own] * c + b_f[own])
            r = sigmoid(now[..., 2] + v_r[own] * c + b_r[own])
            skip = now[..., 3] if u.shape[-1] == 4 else alpha * p["x"][t, :, own]
            last[:, own] = f * c + (1 - f) * now[..., 0]
            h[t, :, own] = skip + (last[:, own] - skip) * np.broadcast_to(mask, (columns,))[own] * r
    return h, last


def case(golden, name, steps, batch, width, directions=1, planes=3, **more):
    columns = directions * width
    p = {"u": wave((steps, batch, directions, width, planes), 0.37, 0.1, 1.2), "x": wave((steps, batch, columns), 0.53, 0.7, 0.9),
         "v": wave((2, columns), 0.91, 0.3, 1.0), "bias": wave((2, columns), 1.3, -0.4, 0.5), "c0": wave((batch, columns), 0.77, 0.2, 0.6)}

    def loss(values):
        h, c = forward(values, steps, batch, width, directions, **more)
        return (h * cosine(h.shape, 0.3)).sum() + (c * cosine(c.shape, 0.5, 0.2)).sum()

    h, c = forward(p, steps, batch, width, directions, **more)
    golden.expect(f"{name} h", h.real)
    golden.expect(f"{name} last c", c.real)
    golden.expect(f"{name} loss", loss(p).real)
    for key in ("u", "x", "v", "bias", "c0"):
        if key != "x" or planes == 3:
            golden.expect(f"{name} d{key}", gradient(loss, p, key))


if __name__ == "__main__":
    golden = Golden("golden/sru_test.cpp")
    case(golden, "A1", 3, 2, 2)
    case(golden, "A2", 5, 1, 2, alpha=1.5, mask=np.array([1.25, 0]), pad=(3,))
    case(golden, "A3", 2, 1, 2, planes=4)
    case(golden, "A4", 3, 1, 1, directions=2)
    exit_with(golden)
