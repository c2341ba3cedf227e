#!/usr/bin/env python3
"""The numbers of tests/golden/moe_test.cpp: Switch's layer and GShard's two experts, a token and a choice at a time."""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, wave

STEPS, ROWS, WIDTH, INNER, EXPERTS = 6, 2, 4, 5, 3
PADDING = {(4, 1), (5, 1)}
BALANCE, Z_LOSS = 0.3, 0.2


def router(p):
    logits = p["x"] @ p["router"].T
    e = np.exp(logits - logits.real.max(-1, keepdims=True))
    return logits, e / e.sum(-1, keepdims=True)


def expert(p, e, x):
    inner = x @ p[f"experts.{e}.w1"].T + p[f"experts.{e}.b1"]
    inner = np.where(inner.real > 0, inner, 0)
    return inner @ p[f"experts.{e}.w2"].T + p[f"experts.{e}.b2"]


def moe(p, top, capacity):
    logits, probabilities = router(p)
    out = np.zeros(p["x"].shape, complex)
    turned_away = 0
    for row in range(ROWS):
        taken = [0] * EXPERTS
        for t in range(STEPS):
            if (t, row) in PADDING:
                continue
            prob = probabilities[t, row]
            chosen = np.argsort(-prob.real)[:top]
            total = 1 if top == 1 else prob[chosen].sum()
            for e in chosen:
                taken[e] += 1
                if capacity and taken[e] > capacity:
                    turned_away += 1
                    continue
                out[t, row] = out[t, row] + prob[e] / total * expert(p, e, p["x"][t, row])
    return out, logits, probabilities, turned_away


def losses(logits, probabilities):
    balance = z = 0
    for row in range(ROWS):
        tokens = [t for t in range(STEPS) if (t, row) not in PADDING]
        first = [int(np.argmax(probabilities[t, row].real)) for t in tokens]
        f = [first.count(e) / len(tokens) for e in range(EXPERTS)]
        mean = sum(probabilities[t, row] for t in tokens) / len(tokens)
        balance = balance + EXPERTS * sum(f[e] * mean[e] for e in range(EXPERTS)) / ROWS
        z = z + sum(np.log(np.exp(logits[t, row]).sum()) ** 2 for t in tokens) / len(tokens) / ROWS
    return BALANCE * balance, Z_LOSS * z


def values_of(router_step):
    values = {"x": wave((STEPS, ROWS, WIDTH), .53, .7, 1.3), "router": wave((EXPERTS, WIDTH), router_step, .3, .9)}
    for e in range(EXPERTS):
        for i, (name, shape) in enumerate((("w1", (INNER, WIDTH)), ("w2", (WIDTH, INNER)), ("b1", INNER), ("b2", WIDTH))):
            values[f"experts.{e}.{name}"] = wave(shape, .37, .1 * i + e, .8)
    return values


def main():
    golden = Golden("golden/moe_test.cpp")
    for top, capacity, router_step in ((1, 2, .71), (2, 4, .61), (2, 0, .61)):
        values = values_of(router_step)
        name = f"top {top}, capacity {capacity}: "
        out, logits, probabilities, turned_away = moe(values, top, capacity)
        golden.expect(name + "out", out.real, 9)
        golden.expect(name + "losses, turned away", [*np.real(losses(logits, probabilities)), turned_away], 9)

        def loss(p):
            y, of_logits, of_probabilities, _ = moe(p, top, capacity)
            return (y * cosine(y.shape, .3)).sum() + sum(losses(of_logits, of_probabilities))

        golden.expect(name + "gradients", [(gradient(loss, values, key) * wave(values[key].shape, .7, .2, 1)).sum()
                                           for key in values], 9)
    exit_with(golden)


main()
