#!/usr/bin/env python3
"""How a training step's cost grows along each axis, one at a time: the scaling table of docs/lab/performance.md.

    bench/scaling.py [--only length] [--repeats 7] [--precision bf16]

Prints a table: time per step and per token, and the growth from row to row beside that of the axis.
"""
import argparse
import json
import pathlib
import sys
import tempfile

from programs import Failed, output_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASE = {"length": 128, "memory": 128, "width": 512, "depth": 4, "batch": 16, "vocabulary": 256, "threads": 0}
AXES = {
    "length": [64, 128, 256, 512, 1024, 2048],
    "memory": [0, 128, 256, 512, 1024, 2048],
    "width": [128, 256, 512, 1024],
    "depth": [2, 4, 8, 16],
    "batch": [2, 4, 8, 16, 32, 64],
    "vocabulary": [256, 4096, 65536, 262144],
    "threads": [1, 2],
}


def measure(shape, repeats, precision):
    text = f"""[model]
width = {shape['width']}
layout = "ux{shape['depth']}"
memory = {shape['memory']}
vocabulary_size = {shape['vocabulary']}
[train]
batch = {shape['batch']}
length = {shape['length']}
"""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [ROOT / "build/release/lithe", "bench", "train", "--config", file.name, "--precision", precision, "--repeats",
                   str(repeats), "--json"]
        if shape["threads"]:
            command += ["--threads", str(shape["threads"])]
        out = output_of(command)
    return json.loads(out.splitlines()[-1])["results"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="axes whose name contains this")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    args = parser.parse_args()
    print("| axis | value | ms per step | us per token | GF/s | peak MiB | step grew | axis grew |")
    print("|---|---|---|---|---|---|---|---|")
    for axis, values in AXES.items():
        if args.only not in axis:
            continue
        before = None
        for value in values:
            shape = dict(BASE, **{axis: value})
            if axis == "length":  # the same tokens in every row but the longest
                shape["batch"] = max(1, 2048 // value)
            try:
                result = measure(shape, args.repeats, args.precision)
            except Failed as failure:
                sys.exit(f"{axis} {value}: {failure}")
            tokens = shape["batch"] * shape["length"]
            growth = ("-", "-") if before is None else (f"{result['milliseconds'] / before[1]:.2f}",
                                                        f"{value / before[0]:.2f}" if before[0] else "-")
            before = (value, result["milliseconds"])
            print(f"| {axis} | {value:,} | {result['milliseconds']:.1f} | {1e3 * result['milliseconds'] / tokens:.2f} | "
                  f"{result['gflops']:.0f} | {result['peak_rss_bytes'] / 2**20:.0f} | {growth[0]} | {growth[1]} |", flush=True)


if __name__ == "__main__":
    main()
