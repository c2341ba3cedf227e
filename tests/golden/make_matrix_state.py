#!/usr/bin/env python3
"""The numbers of tests/golden/matrix_state_test.cpp: recurrences whose state is a matrix for each head, step by step.

    S <- diag(e^g) S + k v^T,  o = scale S^T q                                           S [key][value]

linear attention: Katharopoulos et al. 2020 · RetNet: Sun et al. 2023 · GLA: Yang et al. 2024 · HGRN2: Qin et al. 2024 ·
Mamba-2: Dao & Gu 2024; layers as in flash-linear-attention (fla/layers) and state-spaces/mamba (Mamba2).
"""
import numpy as np

from golden import Golden, exit_with, gradient, sigmoid, softmax, wave

T, N = 16, 4
I, J = np.arange(T)[:, None], np.arange(N)


def silu(x):
    return x * sigmoid(x)


def log_sigmoid(x):
    return -np.log(1 + np.exp(-x))


def softplus(x):
    return np.log(1 + np.exp(x))


def recurrence(q, k, v, g, scale):
    """Of one head: q, k [T][key], v [T][value], g [T][key], [T][1] or 0 -> o [T][value], the last S."""
    g = np.broadcast_to(g, k.shape)
    state = np.zeros((k.shape[1], v.shape[1]), complex)
    outs = []
    for t in range(len(q)):
        state = np.exp(g[t])[:, None] * state + np.outer(k[t], v[t])
        outs.append(scale * q[t] @ state)
    return np.array(outs), state


def case(golden, name, inputs, run):
    """run(values) -> o, S."""
    out, state = run(inputs)
    golden.expect(f"{name} out", [out[0, 0].real, out[7, 2].real, out[15, 3].real, out.sum().real, np.abs(out.real).sum()], 10)
    golden.expect(f"{name} state", state.sum().real, 10)
    weight = np.cos(.3 * np.arange(T * N)).reshape(T, N)
    golden.expect(f"{name} gradients", [gradient(lambda p: (run(p)[0] * weight).sum(), inputs, key).sum() for key in inputs], 10)


def recurrences(golden):
    q, k, v = np.sin(.7 * I + 1.3 * J + .1), np.cos(.5 * I - .9 * J + .2), np.sin(1.1 * I - .6 * J + .3)
    gates = np.sin(.9 * I + .4 * J + .6)
    qkvf = {"q": q, "k": k, "v": v, "f": gates}
    case(golden, "gla", qkvf, lambda p: recurrence(p["q"], p["k"], p["v"], log_sigmoid(p["f"]) / 16, .5))
    case(golden, "gla, soon", qkvf, lambda p: recurrence(p["q"], p["k"], p["v"], log_sigmoid(p["f"]), .5))
    for bound in (0, .25):
        def hgrn2(p):
            left = bound + (1 - bound) * sigmoid(p["f"])
            return recurrence(silu(p["q"]), 1 - left, p["v"], np.log(left), .5)
        case(golden, f"hgrn2, bound {bound}", {"q": q, "f": gates, "v": v}, hgrn2)

    def mamba2(p):
        dt = softplus(p["f"] - 1)
        out, state = recurrence(p["C"], p["B"], dt * p["x"], -1.5 * dt, 1)
        return out + p["x"], state
    case(golden, "mamba2", {"x": v, "f": gates[:, :1], "B": k, "C": q}, mamba2)
    case(golden, "retnet", {"q": q, "k": k, "v": v}, lambda p: recurrence(p["q"], p["k"], p["v"], np.log(1 - 2.0**-5), .5))
    phi = lambda x: np.where(x > 0, x + 1, np.exp(x))
    ones = np.concatenate([v, np.ones((T, 1))], 1)
    sums = recurrence(phi(q), phi(k), ones, 0, 1)[0].real
    everywhere = phi(q) @ (phi(k).T @ ones)
    for name, each in (("causal", sums), ("bidirectional", everywhere)):
        out = each[:, :N] / (each[:, N:] + 1e-6)
        golden.expect(f"linear attention, {name}", [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)


def parameters(*shapes):
    return [wave(shape, .37 + .1 * i, .2 * i, .6) for i, shape in enumerate(shapes)]


def by_heads(heads, q, k, v, g, scale):
    """All heads, side by side in the columns; g [T][columns of k], or a list with a number for each head."""
    split = lambda x: np.split(x, heads, axis=1)
    decays = g if isinstance(g, list) else split(g)
    return np.concatenate([recurrence(*each, scale)[0].real for each in zip(split(q), split(k), split(v), decays)], 1)


def rms_norm(x, gain, heads=1, epsilon=1e-5):
    rows = x.reshape(len(x), heads, -1)
    return (rows / np.sqrt((rows**2).mean(-1, keepdims=True) + epsilon) * gain).reshape(x.shape)


def turned(x, heads):
    """Rotary positions: numbers i and i + half of a head, by position / 10000^(2 i / size)."""
    size = x.shape[1] // heads
    angle = np.arange(len(x))[:, None] / 10000 ** (np.arange(0, size, 2) / size)
    parts = []
    for each in np.split(x, heads, axis=1):
        a, b = np.split(each, 2, axis=1)
        parts += [a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)]
    return np.concatenate(parts, 1)


def layers(golden):
    x, d, heads = wave((5, 8), .53, .7, 1.3), 8, 2

    qkv, gate, low, high, bias, out, gain = parameters((16, d), (d, d), (3, d), (4, 3), (4,), (d, d), (4,))
    q, k, v = np.split(x @ qkv.T, [4, 8], axis=1)
    mixed = by_heads(heads, q, k, v, log_sigmoid(x @ low.T @ high.T + bias) / 16, 2**-.5)
    golden.expect("gla layer", ((rms_norm(mixed, gain, heads) * silu(x @ gate.T)) @ out.T)[4], 9)

    qkv, gate, out, gain = parameters((32, d), (16, d), (d, 16), (8,))
    q, k, v = np.split(x @ qkv.T, [8, 16], axis=1)
    mixed = by_heads(heads, turned(q, heads), turned(k, heads), v, [np.log(1 - 2.0 ** (-5 - h)) for h in range(heads)], .5)
    golden.expect("retnet layer", ((rms_norm(mixed, gain, heads) * silu(x @ gate.T)) @ out.T)[4], 9)

    qfv, out, gain = parameters((24, d), (d, d), (d,))
    q, f, v = np.split(x @ qfv.T, 3, axis=1)
    mixed = by_heads(heads, silu(q), sigmoid(-f), v, log_sigmoid(f), .5)
    golden.expect("hgrn2 layer", (rms_norm(mixed, gain) @ out.T)[4], 9)

    bounds = parameters((24, d), (d, d), (d,), (3, d))[3]
    bound = softmax(bounds.T).T[1:].sum(0)  # of the third layer of three
    lost = (1 - bound) * sigmoid(-f)
    mixed = by_heads(heads, silu(q), lost, v, np.log(1 - lost), .5)
    golden.expect("hgrn2 layer, third of three", (rms_norm(mixed, gain) @ out.T)[4], 9)

    projection, taps, bias, dt_bias, log_a, skip, gain, out = parameters((40, d), (4, 22), (22,), (2,), (2,), (2,), (16,), (d, 16))
    z, xbc, dt = np.split(x @ projection.T, [16, 38], axis=1)
    before = np.concatenate([np.zeros((3, 22)), xbc])
    xbc = silu(bias + sum(taps[j] * before[j:j + 5] for j in range(4)))
    inner, b, c = np.split(xbc, [16, 19], axis=1)
    dt = softplus(dt + dt_bias)
    parts = []
    for h, own in enumerate(np.split(inner, heads, axis=1)):
        parts.append(recurrence(c, b, dt[:, h:h + 1] * own, -dt[:, h:h + 1] * np.exp(log_a[h]), 1)[0].real + skip[h] * own)
    golden.expect("mamba2 layer", (rms_norm(np.concatenate(parts, 1) * silu(z), gain) @ out.T)[4], 9)


if __name__ == "__main__":
    golden = Golden("golden/matrix_state_test.cpp")
    recurrences(golden)
    layers(golden)
    exit_with(golden)
