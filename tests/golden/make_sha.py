#!/usr/bin/env python3
"""The numbers of tests/golden/sha_test.cpp: SHA-RNN's block and its boom alone (Merity 2019; Smerity/sha-rnn), keys and values
gated each by itself, as the source has it. The second segment attends to the memory that the first one left."""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, norm, sigmoid, softmax, wave

STEPS, BATCH, D, MEMORY, EXPANSION = 3, 2, 4, 5, 3


def layer_norm(x, p, name):
    return norm(x, p[name + ".gain"], p[name + ".bias"], 1e-12)


def lstm(x, p, h, c):
    out = []
    for step in x:
        i, f, g, o = np.split(step @ p["w_input"].T + h @ p["w_state"].T + p["b_input"] + p["b_state"], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.stack(out), h, c


def attention(h, memory, p):
    m, h = layer_norm(h, p, "norm_memory"), layer_norm(h, p, "norm_middle")
    every = m if memory is None else np.concatenate([memory, m])
    over = p["value"] @ sigmoid(p["value_gate"]) + p["value_bias"]
    q = sigmoid(p["query_gate"]) * layer_norm(h @ p["query"].T + p["query_bias"], p, "norm_query")
    k, v = sigmoid(p["key_gate"]) * every, np.tanh(over[:D]) * sigmoid(over[D:]) * every
    scores = np.einsum("tbd,sbd->bts", q, k) / np.sqrt(D)
    behind = np.arange(len(every)) > np.arange(len(h))[:, None] + len(every) - len(h)
    mixed = np.einsum("bts,sbd->tbd", softmax(np.where(behind, -1e30, scores)), v)
    return h + mixed, every[-MEMORY:]


def boom(h, p, prefix=""):
    z = layer_norm(h, p, prefix + "norm") @ p[prefix + "w"].T + p[prefix + "bias"]
    z = z * sigmoid(1.702 * z)
    return layer_norm(h, p, prefix + "norm_skip") + sum(np.split(z, EXPANSION, axis=-1))


def sha(p):
    h = c = np.zeros((BATCH, D))
    memory, out = None, []
    for segment in (p["x"][:STEPS], p["x"][STEPS:]):
        y, h, c = lstm(layer_norm(segment, p, "norm"), p, h, c)
        y, memory = attention(y, memory, p)
        # what is carried has no history: gradients stop between segments
        h, c, memory = (np.real(each) + 0 for each in (h, c, memory))
        out.append(boom(y, p, "boom."))
    return np.concatenate(out)


def parameters(names, shapes):
    return {name: wave(shapes(name), .37, .1 * i, .8) + (1 if name.endswith("gain") else 0) for i, name in enumerate(names)}


def shape_of(name):
    if name.endswith((".gain", "norm.bias", "norm_skip.bias", "norm_memory.bias", "norm_middle.bias", "norm_query.bias")):
        return (D,)
    return {"w_input": (4 * D, D), "w_state": (4 * D, D), "b_input": (4 * D,), "b_state": (4 * D,), "query": (D, D),
            "value": (2 * D, D), "value_bias": (2 * D,), "w": (EXPANSION * D, D), "bias": (EXPANSION * D,)}.get(
                name.removeprefix("boom."), (D,))


def norms(*names):
    return [f"{name}.{part}" for name in names for part in ("gain", "bias")]


def case(golden, name, layer, values):
    out = layer(values)
    golden.expect(name + " out", out, 9)
    # weighted, for many sums are 0: a norm takes constants off
    golden.expect(name + " gradients",
                  [(gradient(lambda p: (layer(p) * cosine(out.shape, .3)).sum(), values, key) * wave(values[key].shape, .7, .2, 1)).sum()
                   for key in values], 9)


if __name__ == "__main__":
    golden = Golden("golden/sha_test.cpp")
    names = norms("norm_skip", "norm") + ["w", "bias"]
    values = {"x": wave((STEPS, BATCH, D), .53, .7, 1.3), **parameters(names, shape_of)}
    case(golden, "boom", lambda p: boom(p["x"], p), values)
    names = (norms("norm") + ["w_input", "w_state", "b_input", "b_state"] + norms("norm_memory", "norm_middle")
             + ["query", "query_bias"] + norms("norm_query") + ["query_gate", "key_gate", "value_gate", "value", "value_bias"]
             + norms("boom.norm_skip", "boom.norm") + ["boom.w", "boom.bias"])
    values = {"x": wave((2 * STEPS, BATCH, D), .53, .7, 1.3), **parameters(names, shape_of)}
    case(golden, "sha", sha, values)
    exit_with(golden)
