#!/usr/bin/env python3
"""Training speed and peak memory of Lithe beside the PyTorch peers, one after the other on this machine.

    bench/side_by_side.py --python PEERS_VENV/bin/python [--only srupp-small] [--precision fp32] [--repeats 9]

The peers' Python needs bench/peers/requirements.txt, and CORPUS the text that they read (any file of some megabytes).
Prints a table; --json also writes it. A program that fails leaves an empty place in the table; what it said comes at once, its
name once more at the end, and the exit code is 1.
"""
import argparse
import json
import os
import pathlib
import re
import sys

from programs import Failed, output_of

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
    out = output_of([ROOT / "build/release/lithe", "bench", "train", "--only", row, "--precision", precision,
                     "--repeats", repeats, "--json"])
    result = json.loads(out.splitlines()[-1])
    # a row's name may be the start of another's
    found = next(each for each in result["results"] if each["name"] == row)
    return {"tokens_per_second": found["tokens_per_second"], "milliseconds": found["milliseconds"],
            "of_ceiling": found["of_ceiling"], "peak_mib": found["peak_rss_bytes"] / 2**20,
            "ceiling": result["machine"]["peak_gflops"][precision]}


def peer(python, config, mode, precision, repeats):
    environment = dict(os.environ, LD_PRELOAD="libtcmalloc_minimal.so.4")
    out = output_of([python, "bench_train.py", config, "--mode", mode, "--precision", precision, "--steps", repeats],
                    cwd=ROOT / "bench/peers", env=environment)
    found = [re.search(pattern, out) for pattern in (r"([\d.]+) ms", r"([\d.]+) tokens/s", r"peak (\d+) MiB")]
    if not all(found):
        raise Failed(f"bench_train.py {config} --mode {mode} printed no time, speed and memory, but:\n{out}")
    return dict(zip(("milliseconds", "tokens_per_second", "peak_mib"), (float(each[1]) for each in found)), name=f"{config} {mode}")


def cells(measured, columns):
    return [form.format(measured[key]) if measured else "failed" for key, form in columns.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the peers' Python")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"],
                        help="fp32 where the processor has no bf16 products")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", help="also write the table here")
    args = parser.parse_args()
    # a peer's Python may be named from here, but runs in bench/peers
    python = os.path.abspath(args.python) if os.sep in args.python else args.python
    rows, known, failures = [], {}, []

    def tried(name, measure, *arguments):
        """What was measured, once for each name; None, told and noted where it failed."""
        if name not in known:
            try:
                known[name] = measure(*arguments)
            except Failed as failure:
                known[name] = None
                failures.append(name)
                print(f"{name} failed: {failure}", file=sys.stderr, flush=True)
        return known[name]

    print("| row | lithe ms | tokens/s | of the ceiling | peak MiB | peer | ms | tokens/s | peak MiB | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, peers in PAIRS.items():
        if args.only not in name:
            continue
        ours = tried(f"lithe {name}", lithe, name, args.precision, args.repeats)
        for config, mode in peers:
            theirs = tried(f"peer {config} {mode}", peer, python, config, mode, args.precision, args.repeats)
            ratio = ours["tokens_per_second"] / theirs["tokens_per_second"] if ours and theirs else None
            rows.append({"row": name, "lithe": ours, "peer": theirs or {"name": f"{config} {mode}"}, "ratio": ratio})
            speed = {"milliseconds": "{:.0f}", "tokens_per_second": "{:,.0f}"}
            row = [name, *cells(ours, {**speed, "of_ceiling": "{:.0%}", "peak_mib": "{:.0f}"}), f"{config} {mode}",
                   *cells(theirs, {**speed, "peak_mib": "{:.0f}"}), f"{ratio:.2f}" if ratio else ""]
            print(f"| {' | '.join(row)} |", flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    if failures:
        sys.exit(f"failed: {', '.join(failures)}; what they said stands above")


if __name__ == "__main__":
    main()
