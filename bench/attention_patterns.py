#!/usr/bin/env python3
"""Time and memory of one layer of each kind of attention, trained on one row of growing length.

    bench/attention_patterns.py [--lithe build/release/lithe] [--lengths 1024,4096,16384,65536] [--only KIND] [--threads N]

A step is forward and backward pass of a layer of width 256 with 4 heads, between an embedding of bytes and a head, in fp32; l
is near the root of the length. The exponent is fitted to the times from 4096 on. Full attention stands first; it is left out
beyond --full-until.
"""
import argparse
import json
import math
import pathlib
import sys
import tempfile

from programs import Failed, output_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = """
[model]
width = 256
heads = 4
layout = "<x>"
direction = "{direction}"
[blocks.x]
kind = "{kind}"
{options}
[objective]
name = "{objective}"
[train]
batch = 1
length = {length}
"""


def root_of(length):
    return 2 ** round(math.log2(length) / 2)


# name, kind, options of a length, encoder
ROWS = [
    ("full", "attention", lambda n: {}, False),
    ("window 256", "attention", lambda n: {"window": 256}, False),
    ("sparse, strided", "sparse", lambda n: {"stride": root_of(n)}, False),
    ("sparse, fixed", "sparse", lambda n: {"pattern": '"fixed"', "stride": root_of(n), "summary": 8}, False),
    ("cascade 256", "cascade", lambda n: {"window": 256}, False),
    ("full, forget gate", "attention", lambda n: {"forget_gate": "true"}, False),
    ("adaptive span, 224 + 32", "adaptive_span", lambda n: {"initial": 224 / 1024}, False),
    ("all-attention, 224 + 32", "all_attention", lambda n: {"initial": 224 / 1024}, False),
    ("full, encoder", "attention", lambda n: {}, True),
    ("longformer 256", "longformer", lambda n: {"window": 256, "global_tokens": 1}, True),
    ("longformer 256, dilated", "longformer", lambda n: {"window": 256, "dilation": 2, "dilated_heads": 2}, True),
    ("bigbird", "bigbird", lambda n: {}, True),
    ("blockbert, 8 blocks", "blockbert", lambda n: {"blocks": 8, "shifted": 0}, True),
    ("sinkhorn 64", "sinkhorn", lambda n: {"block": 64}, True),
    ("lsh, 4 rounds", "lsh", lambda n: {}, True),
    ("linformer 256", "linformer", lambda n: {"length": n, "rank": 256}, True),
    ("nystrom 64", "nystrom", lambda n: {"landmarks": 64}, True),
    ("performer 256", "performer", lambda n: {"features": 256}, False),
    ("performer 256, encoder", "performer", lambda n: {"features": 256}, True),
    ("linear attention", "linear_attention", lambda n: {}, False),
    ("synthesizer", "synthesizer", lambda n: {"length": n}, True),
]

SYNTHESIZER_UNTIL = 4096  # its logits lie in memory


def measure(flags, kind, options, encoder, length):
    text = MODEL.format(kind=kind, length=length, direction="bidirectional" if encoder else "causal",
                        objective="masked" if encoder else "next",
                        options="\n".join(f"{key} = {value}" for key, value in options.items()))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        line = output_of([str(flags.lithe), "bench", "train", "--config", file.name, "--precision", "fp32", "--device", "cpu",
                          "--repeats", "3", "--json", *(["--threads", str(flags.threads)] if flags.threads else [])])
    result = json.loads(line.strip().splitlines()[-1])["results"][0]
    return result["min_milliseconds"], result["peak_rss_bytes"] / 2**20


def exponent(times):
    points = [(math.log(n), math.log(t)) for n, t in times if n >= 4096]
    if len(points) < 2:
        return ""
    x, y = (sum(each) / len(points) for each in zip(*points))
    return f"{sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, b in points):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lithe", type=pathlib.Path, default=ROOT / "build/release/lithe")
    parser.add_argument("--lengths", default="1024,4096,16384,65536")
    parser.add_argument("--full-until", type=int, default=16384)
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", type=int, default=0)
    flags = parser.parse_args()
    lengths = [int(each) for each in flags.lengths.split(",")]
    print("| kind | " + " | ".join(f"{n}: ms | MiB" for n in lengths) + " | exponent |")
    print("|---" * (2 * len(lengths) + 2) + "|")
    for name, kind, options, encoder in ROWS:
        if flags.only not in name:
            continue
        cells, times = [], []
        for n in lengths:
            quadratic = flags.full_until if name.startswith("full") else SYNTHESIZER_UNTIL if name == "synthesizer" else n
            if n > quadratic:
                cells.append(" | ")
                continue
            try:
                time, memory = measure(flags, kind, options(n), encoder, n)
            except Failed as error:
                print(error, file=sys.stderr)
                return 1
            times.append((n, time))
            cells.append(f"{time:.1f} | {memory:.0f}")
        print(f"| {name} | " + " | ".join(cells) + f" | {exponent(times)} |", flush=True)
    return 0


sys.exit(main())
