#!/usr/bin/env python3
"""The numbers of tests/golden/delta_state_test.cpp: recurrences whose state is a matrix and that write what it lacks.

    R = diag(e^g) S,  u = beta (v - R^T k),  S <- R + k u^T,  o = scale S^T q            S [key][value]

or S <- diag(e^g) S - b (S^T a)^T + k v^T (RWKV-7). DeltaNet: Schlag et al. 2021, Yang et al. 2024 · gated DeltaNet: Yang et
al. 2025 · KDA: Kimi Team 2025 · RWKV-7: Peng et al. 2025; layers as in flash-linear-attention (fla/layers).
"""
import numpy as np

from golden import Golden, exit_with, sigmoid, wave
from make_matrix_state import I, J, N, T, case, log_sigmoid, parameters, rms_norm, silu, softplus


def recurrence(q, k, v, g, beta, scale):
    """Of one head: q, k [T][key], v [T][value], g [T][key], [T][1] or 0, beta [T] -> o [T][value], the last S."""
    g = np.broadcast_to(g, k.shape)
    state = np.zeros((k.shape[1], v.shape[1]), complex)
    outs = []
    for t in range(len(q)):
        state = np.exp(g[t])[:, None] * state
        state = state + np.outer(k[t], beta[t] * (v[t] - k[t] @ state))
        outs.append(scale * q[t] @ state)
    return np.array(outs), state


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def recurrences(golden):
    q, k, v = np.sin(.7 * I + 1.3 * J + .1), np.cos(.5 * I - .9 * J + .2), np.sin(1.1 * I - .6 * J + .3)
    gates = np.sin(.9 * I + .4 * J + .6)
    qkvb = {"q": q, "k": k, "v": v, "b": np.cos(.6 * np.arange(T) - .3)}

    def rule(p, g):
        return recurrence(unit(p["q"]), unit(p["k"]), p["v"], g, sigmoid(p["b"]), .5)
    case(golden, "delta_net", qkvb, lambda p: rule(p, 0))
    case(golden, "gated_delta", {**qkvb, "f": gates[:, :1]}, lambda p: rule(p, log_sigmoid(p["f"])))
    case(golden, "kda", {**qkvb, "f": gates}, lambda p: rule(p, log_sigmoid(p["f"])))


def low_rank(q, k, v, g, a, b):
    """The same with rows of their own for what is removed, which is read before the decay."""
    state = np.zeros((k.shape[1], v.shape[1]), complex)
    outs = []
    for t in range(len(q)):
        state = np.exp(g[t])[:, None] * state - np.outer(b[t], a[t] @ state) + np.outer(k[t], v[t])
        outs.append(q[t] @ state)
    return np.array(outs), state


def rwkv7(golden):
    q, k, v = np.sin(.7 * I + 1.3 * J + .1), np.cos(.5 * I - .9 * J + .2), np.sin(1.1 * I - .6 * J + .3)

    def run(p):
        rate, kappa = sigmoid(p["a"]), p["k"] / np.sqrt((p["k"] ** 2).sum(-1, keepdims=True))
        return low_rank(p["q"], p["k"] * (1 + (rate - 1) * 1.02), p["v"], -np.exp(-.5) * sigmoid(p["f"]), kappa, kappa * rate)
    case(golden, "rwkv7", {"q": q, "f": np.sin(.9 * I + .4 * J + .6), "k": k, "v": v, "a": np.cos(.4 * I + .7 * J + .5)}, run)


def convolution(x, taps):
    """Causal and depthwise, the last tap for the step's own."""
    before = np.concatenate([np.zeros((len(taps) - 1, x.shape[1])), x])
    return silu(sum(taps[j] * before[j:j + len(x)] for j in range(len(taps))))


def by_heads(heads, keys, x, qkv, taps, beta, g, most=1):
    """All heads, side by side in the columns; g by head: [T][1], [T][key] or 0."""
    q, k, v = np.split(convolution(x @ qkv.T, taps), [keys, 2 * keys], axis=1)
    split = lambda each: np.split(each, heads, axis=1)
    strength = most * sigmoid(x @ beta.T)
    scale = (keys // heads) ** -.5
    return np.concatenate([recurrence(unit(a), unit(b), c, g(h), strength[:, h], scale)[0].real
                           for h, (a, b, c) in enumerate(zip(split(q), split(k), split(v)))], 1)


def layers(golden):
    x, d, heads = wave((5, 8), .53, .7, 1.3), 8, 2

    qkv, taps, beta, gain, out = parameters((24, d), (4, 24), (2, d), (4,), (d, d))
    mixed = by_heads(heads, 8, x, qkv, taps, beta, lambda h: 0)
    golden.expect("delta_net layer", (rms_norm(mixed, gain, heads) @ out.T)[4], 9)

    qkv, taps, beta, gate, gain, out = parameters((24, d), (3, 24), (2, d), (d, d), (4,), (d, d))
    mixed = by_heads(heads, 8, x, qkv, taps, beta, lambda h: 0, 2)
    golden.expect("delta_net layer, gated", ((rms_norm(mixed, gain, heads) * silu(x @ gate.T)) @ out.T)[4], 9)

    qkv, taps, beta, decay, dt_bias, log_a, gate, gain, out = parameters(
        (24, d), (4, 24), (2, d), (2, d), (2,), (2,), (12, d), (6,), (d, 12))
    g = -np.exp(log_a) * softplus(x @ decay.T + dt_bias)
    mixed = by_heads(heads, 6, x, qkv, taps, beta, lambda h: g[:, h:h + 1])
    golden.expect("gated_delta layer", ((rms_norm(mixed, gain, heads) * silu(x @ gate.T)) @ out.T)[4], 9)

    qkv, taps, beta, low, high, dt_bias, log_a, gate_low, gate_high, gate_bias, gain, out = parameters(
        (24, d), (4, 24), (2, d), (4, d), (8, 4), (8,), (2,), (4, d), (8, 4), (8,), (4,), (d, d))
    g = -np.repeat(np.exp(log_a), 4) * softplus(x @ low.T @ high.T + dt_bias)
    mixed = by_heads(heads, 8, x, qkv, taps, beta, lambda h: g[:, 4 * h:4 * h + 4])
    gates = sigmoid(x @ gate_low.T @ gate_high.T + gate_bias)
    golden.expect("kda layer", ((rms_norm(mixed, gain, heads) * gates) @ out.T)[4], 9)


def shifted(x):
    return np.concatenate([np.zeros((1, x.shape[1])), x[:-1]]) - x


def rwkv7_layers(golden):
    x, d, heads = wave((5, 8), .53, .7, 1.3), 8, 2
    for later in (False, True):
        shapes = [(6 * d,), (d, d), (d, d), (d, d), (3, d), (d, 3), (d,), (2, d), (d, 2), (d,)]
        shapes += [(3, d), (d, 3), (d,)] if later else []
        rest = parameters(*shapes, (4, d), (d, 4), (d,), (d,), (d,), (d,), (d,), (d, d))
        shift, receptance, key, value, w_in, w_out, w_bias, a_in, a_out, a_bias = rest[:10]
        gate_in, gate_out, key_scale, key_rate, bonus, gain, bias, out = rest[-8:]
        xr, xw, xk, xv, xa, xg = x + shifted(x) * shift.reshape(6, 1, d)
        r, k, v = xr @ receptance.T, xk @ key.T, xv @ value.T
        if later:
            v_in, v_out, v_bias = rest[10:13]
            v = v + (wave((5, d), .43, .2, .9) - v) * sigmoid(xv @ v_in.T @ v_out.T + v_bias)
        g = -np.exp(-.5) * sigmoid(np.tanh(xw @ w_in.T) @ w_out.T + w_bias)
        rate = sigmoid(xa @ a_in.T @ a_out.T + a_bias)
        outs = []
        for part in np.split(np.arange(d), heads):
            kappa = (k * key_scale)[:, part]
            kappa = kappa / np.sqrt((kappa**2).sum(-1, keepdims=True))
            own = (k * (1 + (rate - 1) * key_rate))[:, part]
            read = low_rank(r[:, part], own, v[:, part], g[:, part], kappa, kappa * rate[:, part])[0].real
            centred = read - read.mean(-1, keepdims=True)
            normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 4e-5) * gain[part] + bias[part]
            outs.append(normed + (r[:, part] * own * bonus[part]).sum(-1, keepdims=True) * v[:, part])
        y = np.concatenate(outs, 1) * (sigmoid(xg @ gate_in.T) @ gate_out.T)
        golden.expect(f"rwkv7 layer{', later' if later else ''}", (y @ out.T)[4], 9)
    shift, key, value = parameters((d,), (6, d), (d, 6))
    golden.expect("rwkv7_channel layer", (np.maximum((x + shifted(x) * shift) @ key.T, 0) ** 2 @ value.T)[4], 9)


if __name__ == "__main__":
    golden = Golden("golden/delta_state_test.cpp")
    recurrences(golden)
    rwkv7(golden)
    layers(golden)
    rwkv7_layers(golden)
    exit_with(golden)
