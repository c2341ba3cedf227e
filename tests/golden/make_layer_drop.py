#!/usr/bin/env python3
"""The numbers of tests/model/layer_drop_test.cpp: Progressive Layer Dropping (Zhang & He 2020, "Accelerating Training of
Transformer-Based Language Models with Progressive Layer Dropping").

    theta(t) = (1 - keep) exp(-gamma t) + keep;   layer i = 1..L is kept with 1 - (i / L) (1 - theta) and divided by that

The authors' example code (DeepSpeedExamples, BERT) draws layer i = 0..L-1 with 1 - (i / L) (1 - theta) and divides by the chance of
the next one.
"""
import numpy as np

from golden import Golden, exit_with


def theta(t, keep=0.5, gamma=0.001):
    return (1 - keep) * np.exp(-gamma * t) + keep


def chances(form, layers, now):
    """(kept with, divided by) of each layer."""
    fall = (1 - now) / layers
    if form == "paper":
        return [(1 - i * fall, 1 - i * fall) for i in range(1, layers + 1)]
    return [(1 - i * fall, 1 - (i + 1) * fall) for i in range(layers)]


def toy(form, draws=(0.30, 0.95, 0.70, 0.55)):
    """1 through four layers of two branches 0.1 x each; a layer is kept where its draw is below its chance."""
    x, kept = 1.0, []
    for (chance, divisor), draw in zip(chances(form, 4, 0.5), draws):
        kept.append(int(draw < chance))
        if kept[-1]:
            x *= (1 + 0.1 / divisor) ** 2
    return x, kept


if __name__ == "__main__":
    golden = Golden("model/layer_drop_test.cpp")
    for t in (1, 10, 100, 500, 1000, 2000, 5000, 10000):
        golden.expect(f"theta({t})", theta(t))
    for keep in (0.5, 0.6, 0.7, 0.8, 0.9):
        golden.expect(f"kept of 12 at {keep}", [keep] + [sum(c for c, _ in chances(form, 12, keep)) for form in ("paper", "code")], digits=2)
    for place in (0, 11):
        print(f"code, layer {place}: kept with {chances('code', 12, 0.5)[place][0]:.5f}, divided by {chances('code', 12, 0.5)[place][1]:.5f}")
    golden.expect("code, first divisor", chances("code", 12, 0.5)[0][1], digits=5)
    golden.expect("code, last chance", chances("code", 12, 0.5)[11][0], digits=5)
    for form in ("paper", "code"):
        x, kept = toy(form)
        golden.expect(f"toy, {form}", x)
        golden.expect(f"toy, {form}, kept", kept, digits=0)
    exit_with(golden)
