#!/usr/bin/env python3
"""The numbers of tests/golden/muon_test.cpp: what five steps of Muon's Newton-Schulz iteration (Jordan et al. 2024, "Muon: An
optimizer for hidden layers in neural networks") make of a singular value x, with its coefficients:

    x <- a x + b x^3 + c x^5,   a, b, c = 3.4445, -4.7750, 2.0315
"""
import numpy as np

from golden import Golden, exit_with


def mapped(x):
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    return x


if __name__ == "__main__":
    golden = Golden("golden/muon_test.cpp")
    golden.expect("of 1", mapped(1.0), digits=5)
    golden.expect("of 0.001", mapped(0.001), digits=4)
    x = np.geomspace(0.003, 1, 10_000_000)
    y = mapped(x)
    print(f"over 0.003 to 1: lowest {y.min():.5f} at {x[y.argmin()]:.4f}, highest {y.max():.5f} at {x[y.argmax()]:.4f}")
    golden.expect("bounds of the test", [0.6817, 1.2025], digits=4)
    assert 0.6817 <= y.min() and y.max() <= 1.2025
    exit_with(golden)
