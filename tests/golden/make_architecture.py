#!/usr/bin/env python3
"""The numbers of tests/train/architecture_test.cpp: Gumbel-softmax (Jang et al. 2017, "Categorical Reparameterization with
Gumbel-Softmax", equation 2), the loss of FBNet (Wu et al. 2019, equation 2: CE alpha ln(LAT)^beta with its alpha 0.2, beta 0.6).

    m = softmax((log softmax(theta) + g) / tau),   g = -log(-log U)
"""
import numpy as np

from golden import Golden, exit_with, gradient, softmax

THETA, UNIFORMS = np.array([0.2, -0.1, 0.0]), np.array([0.1, 0.5, 0.9])


def draw(theta, uniforms, tau):
    return softmax((theta - np.log(-np.log(uniforms))) / tau)  # log softmax differs by a number that softmax takes off


if __name__ == "__main__":
    golden = Golden("train/architecture_test.cpp")
    for tau in (5, 1, 0.5, 0.1):
        golden.expect(f"m at {tau}", draw(THETA, UNIFORMS, tau))
    jacobian = [gradient(lambda p, i=i: draw(p["theta"], UNIFORMS, 1)[i], {"theta": THETA}, "theta") for i in range(3)]
    golden.expect("Jacobian at 1", jacobian)
    golden.expect("expected latency", draw(THETA, UNIFORMS, 1) @ np.array([0.74, 0.21, 0]))
    for latency in (15.2, 9.9):
        golden.expect(f"FBNet's loss, CE 3, latency {latency}", [latency, 3 * 0.2 * np.log(latency) ** 0.6], digits=4)
    uniforms = np.random.default_rng(1).random((4_000_000, 3))
    for tau in (5.0, 1.0, 0.1):
        golden.expect(f"mean of the largest of three equal candidates at {tau}, over 4M draws", draw(np.zeros(3), uniforms, tau).max(axis=1).mean(), digits=3)
    exit_with(golden)
