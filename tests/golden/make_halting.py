#!/usr/bin/env python3
"""The numbers of tests/golden/halting_test.cpp: adaptive computation time (Graves 2016), a position at a time, around a
Universal Transformer's step (Dehghani et al. 2019): attention and a feed-forward layer."""
import numpy as np

from golden import Golden, cosine, exit_with, gradient, sigmoid, softmax, wave

LENGTH, ROWS, WIDTH, INNER, STEPS = 5, 2, 8, 6, 4
THRESHOLD, PONDER = 0.9, 0.3
PADDING = {(3, 1), (4, 1)}
SHAPES = {"attention.qkv": (3 * WIDTH, WIDTH), "attention.out": (WIDTH, WIDTH), "feed_forward.w1": (INNER, WIDTH),
          "feed_forward.w2": (WIDTH, INNER), "halting.weight": (WIDTH,), "halting.bias": (1,)}


def halt(hs, threshold):
    """Weights p of a position's steps, N and R, of its halting probabilities; the last one may be forced."""
    weights, total = [], 0
    for n, h in enumerate(hs):
        if total.real + h.real >= threshold or n + 1 == len(hs):
            return weights + [1 - total], n + 1, 1 - total
        weights.append(h)
        total = total + h


def sinusoid(place):
    angles = place / 10000 ** (np.arange(WIDTH // 2) / (WIDTH // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)])


def step(p, s, number, coordinates, row):
    """One step of a row, [LENGTH][WIDTH]; nobody attends to padding."""
    if coordinates:
        s = s + np.stack([sinusoid(t) + sinusoid(number) for t in range(LENGTH)])
    q, k, v = np.split(s @ p["attention.qkv"].T, 3, axis=1)
    seen = [[j for j in range(t + 1) if (j, row) not in PADDING] for t in range(LENGTH)]
    mixed = np.stack([softmax(q[t] @ k[seen[t]].T / np.sqrt(WIDTH)) @ v[seen[t]] for t in range(LENGTH)])
    s = s + mixed @ p["attention.out"].T
    inner = s @ p["feed_forward.w1"].T
    return s + np.where(inner.real > 0, inner, 0) @ p["feed_forward.w2"].T


def run(p, coordinates):
    """y, the loss of the steps, N and R of all positions."""
    out = np.zeros((LENGTH, ROWS, WIDTH), complex)
    steps, remainders = np.zeros((LENGTH, ROWS)), np.zeros((LENGTH, ROWS), complex)
    ponder = 0
    for row in range(ROWS):
        s, states, hs = p["x"][:, row], [], [[] for _ in range(LENGTH)]
        halted = [False] * LENGTH
        for number in range(1, STEPS + 1):
            new = step(p, s, number, coordinates, row)
            s = np.stack([s[t] if halted[t] else new[t] for t in range(LENGTH)])
            states.append(s)
            for t in range(LENGTH):
                if not halted[t]:
                    hs[t].append(sigmoid(s[t] @ p["halting.weight"] + p["halting.bias"][0]))
                    halted[t] = sum(hs[t]).real >= THRESHOLD
        for t in range(LENGTH):
            weights, steps[t, row], remainders[t, row] = halt(hs[t], THRESHOLD)
            out[t, row] = sum(w * states[n][t] for n, w in enumerate(weights))
        here = [t for t in range(LENGTH) if (t, row) not in PADDING]
        ponder = ponder + PONDER * sum(steps[t, row] + remainders[t, row] for t in here) / len(here) / ROWS
    return out, ponder, steps, remainders


def mean_steps(steps):
    rows = [[steps[t, row] for t in range(LENGTH) if (t, row) not in PADDING] for row in range(ROWS)]
    return np.mean([np.mean(each) for each in rows])


def main():
    golden = Golden("golden/halting_test.cpp")
    for hs in ([.3, .4, .5, .9], [.995, .5], [.1] * 20, [.1] * 3):
        weights, steps, remainder = halt([np.float64(h) for h in hs], .99)
        golden.expect(f"{len(hs)} steps, h = {hs[:3]}", [steps, steps + remainder, *weights[:3]], 9)
    values = {"x": wave((LENGTH, ROWS, WIDTH), .53, .7, 1.1)}
    for i, (name, shape) in enumerate(SHAPES.items()):
        values[name] = wave(shape, .37, .4 + i, .35)
    values["halting.weight"] = wave((WIDTH,), 1.3, .4, .9)
    values["halting.bias"] = np.array([-.7])
    for coordinates in (False, True):
        name = "coordinates, " if coordinates else ""
        out, ponder, steps, remainders = run(values, coordinates)
        print(name + "N of each row:", steps.T.astype(int).tolist())
        golden.expect(name + "y", out.real.sum(2), 9)
        golden.expect(name + "loss, mean steps", [ponder.real, mean_steps(steps)], 9)

        def loss(p):
            y, of_steps, _, _ = run(p, coordinates)
            return (y * cosine(y.shape, .3)).sum() + of_steps

        golden.expect(name + "gradients", [(gradient(loss, values, key) * wave(values[key].shape, .7, .2, 1)).sum()
                                           for key in values], 9)
    exit_with(golden)


if __name__ == "__main__":
    main()
