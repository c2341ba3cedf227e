#!/usr/bin/env python3
"""Numbers of tests/golden/lsh_test.cpp: attention by hashes as the paper has it, query by query, for one head of four numbers
over 16 positions."""
import numpy as np

from golden import Golden, exit_with

N, SIZE = 16, 4
I, J = np.arange(N)[:, None], np.arange(SIZE)[None, :]
Q, V = np.sin(0.7 * I + 1.3 * J + 0.1), np.sin(1.1 * I - 0.6 * J + 0.3)
K = Q / np.linalg.norm(Q, axis=1, keepdims=True)
H = np.sin(2.1 * np.arange(4)[:, None] + 3.7 * np.arange(2)[None, :] + 0.3)


def order(rotation):
    buckets = [int(np.argmax(np.concatenate([q @ rotation, -(q @ rotation)]))) for q in Q]
    return sorted(range(N), key=lambda i: (buckets[i], i))


def attention(rounds, chunk, causal=False, scale=1.0):
    """`rounds`: orders of positions, behind one another."""
    line = [i for each in rounds for i in each]
    chunks = [line[a:a + chunk] for a in range(0, len(line), chunk)]
    found = [[] for _ in range(N)]
    for a, queries in enumerate(chunks):
        keys = chunks[a - 1] + queries  # Python's list wraps, too
        for i in queries:
            others = [j for j in keys if j != i and (j < i or not causal)]
            if not others:
                found[i].append((-5e4, V[i]))
                continue
            scores = np.array([scale * Q[i] @ K[j] for j in others])
            lse = np.log(np.exp(scores).sum())
            found[i].append((lse, np.exp(scores - lse) @ V[others]))
    out = np.zeros((N, SIZE))
    for i in range(N):
        lse = np.array([each[0] for each in found[i]])
        shares = np.exp(lse - lse.max())
        out[i] = sum(s * o for s, (_, o) in zip(shares / shares.sum(), found[i]))
    return out


def main():
    golden = Golden("golden/lsh_test.cpp")

    def expect(name, out):
        golden.expect(name, [out[0, 0], out[7, 2], out[15, 3], out.sum(), np.abs(out).sum()], 10)

    one, other = order(H), order(np.cos(3 * H + 1))
    expect("G11a", attention([one], 4))
    expect("G11b causal", attention([one], 4, causal=True))
    expect("G11c scaled", attention([one], 4, scale=0.5))
    expect("G11d full", attention([one], N))
    expect("G11e full, causal", attention([one], N, causal=True))
    expect("G11f two rounds", attention([one, other], 4))
    exit_with(golden)


main()
