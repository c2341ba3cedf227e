#!/usr/bin/env python3
"""Training speed and peak memory of Lithe beside the PyTorch peers, one after the other on this machine.

    bench/side_by_side.py --python PEERS_VENV/bin/python [--only srupp-small] [--precision fp32] [--repeats 9]

The peers' Python needs bench/peers/requirements.txt, and CORPUS the text that they read (any file of some megabytes).
Prints a table; --json also writes it.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
# row of `lithe bench train` -> the strongest peers: (configuration, mode)
PAIRS = {
    "srupp-small": [("srupp-small", "compile"), ("srupp-small-pkg", "eager")],
    "srupp-small-kept": [("srupp-small", "compile")],
    "srupp-42m": [("srupp-42m", "compile")],
    "srupp-42m-kept": [("srupp-42m", "compile")],
    "sru": [("sru", "compile")],
    "gpt-small": [("gpt-small-plain", "eager")],
    "txl-base": [("txl-base", "eager")],
    "lstm": [("lstm", "eager")],
}


def lithe(row, precision, repeats):
    out = subprocess.run([ROOT / "build/release/lithe", "bench", "train", "--only", row, "--precision", precision,
                          "--repeats", str(repeats), "--json"], check=True, capture_output=True, text=True).stdout
    result = json.loads(out.splitlines()[-1])
    # a row's name may be the start of another's
    found = next(each for each in result["results"] if each["name"] == row)
    return {"tokens_per_second": found["tokens_per_second"], "milliseconds": found["milliseconds"],
            "of_ceiling": found["of_ceiling"], "peak_mib": found["peak_rss_bytes"] / 2**20,
            "ceiling": result["machine"]["peak_gflops"][precision]}


def peer(python, config, mode, precision, repeats, known):
    if (config, mode) in known:
        return known[config, mode]
    environment = dict(os.environ, LD_PRELOAD="libtcmalloc_minimal.so.4")
    out = subprocess.run([python, "bench_train.py", config, "--mode", mode, "--precision", precision, "--steps",
                          str(repeats)], check=True, capture_output=True, text=True, cwd=ROOT / "bench/peers",
                         env=environment).stdout
    line = out.strip().splitlines()[-1]
    known[config, mode] = {"name": f"{config} {mode}", "milliseconds": float(re.search(r"([\d.]+) ms", line)[1]),
                           "tokens_per_second": float(re.search(r"([\d.]+) tokens/s", line)[1]),
                           "peak_mib": float(re.search(r"peak (\d+) MiB", line)[1])}
    return known[config, mode]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the peers' Python")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"],
                        help="fp32 where the processor has no bf16 products")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", help="also write the table here")
    args = parser.parse_args()
    rows, known = [], {}
    print("| row | lithe ms | tokens/s | of the ceiling | peak MiB | peer | ms | tokens/s | peak MiB | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, peers in PAIRS.items():
        if args.only not in name:
            continue
        ours = lithe(name, args.precision, args.repeats)
        for config, mode in peers:
            theirs = peer(args.python, config, mode, args.precision, args.repeats, known)
            ratio = ours["tokens_per_second"] / theirs["tokens_per_second"]
            rows.append({"row": name, "lithe": ours, "peer": theirs, "ratio": ratio})
            print(f"| {name} | {ours['milliseconds']:.0f} | {ours['tokens_per_second']:,.0f} | {ours['of_ceiling']:.0%} | "
                  f"{ours['peak_mib']:.0f} | {theirs['name']} | {theirs['milliseconds']:.0f} | "
                  f"{theirs['tokens_per_second']:,.0f} | {theirs['peak_mib']:.0f} | {ratio:.2f} |", flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
