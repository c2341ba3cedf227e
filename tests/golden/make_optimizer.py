#!/usr/bin/env python3
"""The numbers of tests/golden/optimizer_test.cpp that are not worked out there.

RAdam (Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", algorithm 2; the authors' code: decay apart from
the gradient, sqrt(v) + epsilon without the correction of v, which stands in the step size; adaptive where rho >= 5, else SGD with
the corrected momentum, or nothing without the fallback). AdamW (Loshchilov & Hutter 2019), Lookahead (Zhang et al. 2019). The rate
of SRU++'s training script: a warm-up w, in which PyTorch's cosine scheduler, which multiplies what is there, steps too.
"""
import numpy as np

from golden import Golden, exit_with


def radam(fallback, steps=8, rate=0.01, decay=0.1, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """(weights after each step, rho and step size of each) of one weight of 1 whose gradient is cos(t)."""
    p, m, v, weights, told = 1.0, 0.0, 0.0, [], []
    longest = 2 / (1 - beta2) - 1
    for t in range(1, steps + 1):
        g = np.cos(t)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        rho = longest - 2 * t * beta2**t / (1 - beta2**t)
        if rho >= 5:
            r = np.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            size = r * np.sqrt(1 - beta2**t) / (1 - beta1**t)
            p -= rate * decay * p + rate * size * m / (np.sqrt(v) + epsilon)
        else:
            size = 1 / (1 - beta1**t)
            if fallback:
                p -= rate * decay * p + rate * size * m
        weights.append(p)
        told.append((rho, size))
    return weights, told


def recipe(n, peak, warmup, total=400000):
    """In the warm-up peak (n + 1) / w; then the cosine's factors from w - 1 on are multiplied onto the peak."""
    if n < warmup:
        return peak * (n + 1) / warmup
    before = (1 + np.cos(np.pi * (warmup - 1) / total)) if warmup else 2
    return peak * (1 + np.cos(np.pi * n / total)) / before


def adamw_first_step(weights, gradients, rate, decay, epsilon=1e-8):
    """Corrected, both moments of the first step are the gradient's."""
    w, g = np.array(weights), np.array(gradients)
    return w - rate * decay * w - rate * g / (np.abs(g) + epsilon)


def lookahead(rate=0.1, every=5, share=0.5, steps=10):
    fast = slow = 1.0
    weights = []
    for t in range(1, steps + 1):
        fast -= rate  # the gradient is 1
        if t % every == 0:
            slow += share * (fast - slow)
            fast = slow
        weights.append(fast)
    return weights


if __name__ == "__main__":
    golden = Golden("golden/optimizer_test.cpp")
    weights, told = radam(True)
    golden.expect("RAdam", weights, digits=9)
    print(f"rho after 5 and 6 steps: {told[4][0]:.6f} {told[5][0]:.6f}")
    golden.expect("step size after 6", told[5][1] * 1.0, digits=6)
    golden.expect("RAdam without the fallback", radam(False)[0], digits=9)
    golden.expect("AdamW", adamw_first_step([3, 4], [0.5, -2], 0.1, 0.01), digits=4)
    golden.expect("Lookahead", lookahead(), digits=2)
    golden.expect("rates", [x for n in (0, 8000, 15999, 16000, 50000, 200000, 300000) for x in (n, recipe(n, 3e-4, 16000))], digits=".8e")
    golden.expect("rates without a warm-up", [x for n in (50000, 200000, 300000) for x in (n, recipe(n, 2.5e-4, 0))], digits=".8e")
    exit_with(golden)
