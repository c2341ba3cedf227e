#!/usr/bin/env python3
"""Numbers of tests/golden/adaptive_span_test.cpp: learned spans as the released code computes them (a softmax, then the
mask, then division by the sum), query by query, for one head of four numbers over 16 positions."""
import numpy as np

from golden import Golden, exit_with, gradient, softmax

N, SIZE = 16, 4
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
INPUTS = {
    "q": np.sin(0.7 * I + 1.3 * J + 0.1),
    "k": np.cos(0.5 * I - 0.9 * J + 0.2),
    "v": np.sin(1.1 * I - 0.6 * J + 0.3),
    "z": np.array(3.3),
}
POSITIONS = np.sin(0.7 * np.arange(33)[:, None] + 0.4 * J + 0.5)
KEYS, VALUES = np.cos(np.arange(2)[:, None] + J), np.sin(2 * np.arange(2)[:, None] - J)


def ramp(z, x, size):
    kept = (size + z - x) / size
    return kept if 0 <= kept.real <= 1 else kept * 0 + (kept.real > 1)


def layer(inputs, size, own, positions=None, persistent=False):
    rows = []
    for i in range(N):
        keys = range(i if own else i - 1, -1, -1)  # from the nearest on
        if not keys and not persistent:
            rows.append(inputs["v"][0] * 0)
            continue
        scores = [inputs["q"][i] @ (inputs["k"][j] + (0 if positions is None else positions[x])) for x, j in enumerate(keys)]
        if persistent:
            scores += [inputs["q"][i] @ m for m in KEYS]
        weights = softmax(np.array(scores) / np.sqrt(SIZE))
        weights = np.array([w * (ramp(inputs["z"], x, size) if x < len(keys) else 1) for x, w in enumerate(weights)])
        weights = weights / weights.sum()
        values = [inputs["v"][j] for j in keys] + (list(VALUES) if persistent else [])
        rows.append(sum(w * v for w, v in zip(weights, values)))
    return np.array(rows)


def main():
    golden = Golden("golden/adaptive_span_test.cpp")

    def expect(name, out):
        golden.expect(name, [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)

    expect("G17", layer(INPUTS, 2, True))
    source = lambda inputs: layer(inputs, 5, False, POSITIONS)
    expect("positions, not itself", source(INPUTS))
    wide = {**INPUTS, "z": np.array(33.0)}
    expect("G18", layer(wide, 2, True, persistent=True))
    expect("persistent, a short span", layer(INPUTS, 5, False, POSITIONS, persistent=True))
    weight = np.cos(0.3 * (4 * I + J))
    golden.expect("d loss / d z", gradient(lambda values: (source(values) * weight).sum(), INPUTS, "z"), 10)
    exit_with(golden)


main()
