#!/usr/bin/env python3
"""The numbers of tests/golden/diagonal_state_test.cpp: diagonal state spaces, and the layers S4D and LRU around them.

S4D (Gu et al. 2022) is written down twice, as the recurrence and as the convolution of the segment with its kernel, which
agree here before a number is printed. Complex numbers are pairs (re, im), so that gradients can be taken by complex steps.

    S4D   x'(t) = A x + B u by zero-order hold with step dt, B = 1:  a = e^(A dt), b = (a - 1) / A
          s_t = a s_{t-1} + b x_t, y_t = 2 Re(sum c s_t) + D x_t                    (real: no 2)
          K_k = 2 Re(sum c b a^k),  y_t = sum_k K_k x_{t-k} + D x_t
    LRU   (Orvieto et al. 2023) h_t = lambda h_{t-1} + exp(gamma) B x_t, y_t = Re(C h_t) + D x_t
"""
import math

import numpy as np

from golden import Golden, cosine, exit_with, gelu, gradient, sigmoid, wave

STEPS, BATCH, D, STATES = 7, 2, 3, 4


class Z:
    """A complex number by its parts, which may be complex themselves."""

    def __init__(self, re, im=0.0):
        self.re, self.im = re, im

    def __add__(self, other):
        return Z(self.re + other.re, self.im + other.im)

    def __mul__(self, other):
        return Z(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    def __truediv__(self, other):
        size = other.re * other.re + other.im * other.im
        return self * Z(other.re / size, -other.im / size)


def exponential(z):
    return Z(np.exp(z.re) * np.cos(z.im), np.exp(z.re) * np.sin(z.im))


def read(c, s):
    """Re(sum over the states of c s), the states on the last axis but one."""
    return (c * s).re.sum(axis=-2)


def s4d_parameters(p):
    """a, b and c of a channel's states, [states][d], and the factor of the real part."""
    dt = np.exp(p["log_dt"])
    whole = "w" in p
    rate = Z(-np.exp(p["log_a"]), p["w"] if whole else 0 * p["log_a"])
    a = exponential(Z(rate.re * dt, rate.im * dt))
    c = Z(p["c"][0], p["c"][1]) if whole else Z(p["c"][0], 0 * p["c"][0])
    return a, (a + Z(-1)) / rate, c, 2 if whole else 1


def s4d_by_steps(p):
    a, b, c, factor = s4d_parameters(p)
    s, out = Z(np.zeros((BATCH,) + a.re.shape), np.zeros((BATCH,) + a.re.shape)), []
    for x in p["x"]:
        s = a * s + b * Z(x[:, None])
        out.append(factor * read(c, s) + p["d"] * x)
    return np.stack(out)


def s4d_by_convolution(p):
    a, b, c, factor = s4d_parameters(p)
    power, kernel = Z(np.ones_like(a.re), np.zeros_like(a.re)), []
    for _ in range(len(p["x"])):
        kernel.append(factor * read(c, b * power))
        power = power * a
    x = p["x"]
    return np.stack([sum(kernel[k] * x[t - k] for k in range(t + 1)) for t in range(len(x))]) + p["d"] * x


def glu(x, w, bias):
    both = x @ w.T + bias
    half = both.shape[-1] // 2
    return both[..., half:] * sigmoid(both[..., :half])


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + .044715 * x ** 3)))


def s4d(p, form=s4d_by_steps):
    return glu(gelu(form(p)), p["out"], p["bias"])


def lru(p):
    decay, phase = np.exp(-np.exp(p["nu"])), np.exp(p["theta"])
    a = Z(decay * np.cos(phase), decay * np.sin(phase))
    count = len(p["nu"])
    b = p["b"] * np.tile(np.exp(p["gamma"]), 2)[:, None]
    h, out = Z(0 * decay, 0 * decay), []
    for x in p["x"]:
        v = x @ b.T
        h = a * h + Z(v[:, :count], v[:, count:])
        out.append(h.re @ p["c"][:, :count].T + h.im @ p["c"][:, count:].T + p["d"] * x)
    return glu(gelu_tanh(np.stack(out)), p["w"], p["bias"])


def case(golden, name, layer, shapes, scale=.8):
    values = {"x": wave((STEPS, BATCH, D), .53, .7, 1.3)}
    values.update({key: wave(shape, .37, .1 * n, scale) for n, (key, shape) in enumerate(shapes.items())})
    out = layer(values)
    golden.expect(name + " out", out, 9)
    golden.expect(name + " gradients",
                  [gradient(lambda p: (layer(p) * cosine(out.shape, .3)).sum(), values, key).sum() for key in values], 9)
    return values


if __name__ == "__main__":
    golden = Golden("golden/diagonal_state_test.cpp")
    tail = {"d": (D,), "out": (2 * D, D), "bias": (2 * D,)}
    n = STATES // 2
    complex_shapes = {"log_dt": (D,), "log_a": (n, D), "w": (n, D), "c": (2, n, D), **tail}
    real_shapes = {"log_dt": (D,), "log_a": (STATES, D), "c": (1, STATES, D), **tail}
    for name, shapes in (("S4D complex", complex_shapes), ("S4D real", real_shapes)):
        values = case(golden, name, s4d, shapes)
        assert np.abs(s4d(values) - s4d(values, s4d_by_convolution)).max() < 1e-14, name
    case(golden, "LRU", lru, {"nu": (STATES,), "theta": (STATES,), "gamma": (STATES,), "b": (2 * STATES, D),
                              "c": (D, 2 * STATES), "d": (D,), "w": (2 * D, D), "bias": (2 * D,)})
    exit_with(golden)
