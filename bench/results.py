#!/usr/bin/env python3
"""Writes the tables of docs/results.md that are made of run summaries, between its <!-- table NAME --> marks.

    bench/results.py [--lithe build/release/lithe] [--check]

`evidence`: docs/runs/evidence/*.json, made by bench/evidence.toml. Parameters and FLOPs are what `lithe info` counts for the
same settings. Runs that differ in their seed only are one row: the mean, and half the 95 % interval with three or more.
With --check nothing is written, and the exit code says whether the document is up to date.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/results.md"
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # 95 %, by the number of runs


def titles():
    """Name of a run without its seed -> the comment above it in the list."""
    found = {}
    for title, name in re.findall(r'# (.+)\n\[\[run\]\]\nname = "(.+)-seed\d+"', (ROOT / "bench/evidence.toml").read_text()):
        found[name] = title
    return found


def counted(lithe, run):
    sets = [flag for each in run["set"] for flag in ("--set", each)]
    done = subprocess.run([lithe, "info", ROOT / run["config"], *sets, "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def bits_cell(values):
    if len(values) < 3:
        return f"{statistics.mean(values):.4f}"
    half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.4f} ± {half:.4f}"


def evidence(lithe):
    runs = {}
    for path in sorted((ROOT / "docs/runs/evidence").glob("*.json")):
        run = json.loads(path.read_text())
        runs.setdefault(re.sub(r"-seed\d+$", "", run["name"]), []).append(run)
    rows = []
    for name, title in titles().items():
        if name not in runs:
            continue
        group = runs[name]
        info = counted(lithe, group[0])
        tokens = statistics.mean(run["tokens"] for run in group)
        rows.append((statistics.mean(run["first_tokens_valid"] for run in group),
                     f"| {title} | `{info['layout']}` | {info['parameters'] / 1e6:.2f}M | {tokens / 1e6:.1f}M | "
                     f"{tokens * info['training_flops_per_token'] / 1e12:.0f} | {max(run['peak_rss_bytes'] for run in group) / 2**20:.0f} | "
                     f"{len(group)} | {bits_cell([run['first_tokens_valid'] for run in group])} |"))
    head = ["| architecture | layout | parameters | tokens trained | TFLOP | peak MiB | seeds | bits per byte |",
            "|---|---|---|---|---|---|---|---|"]
    return "\n".join(head + [row for _, row in sorted(rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lithe", type=pathlib.Path, default=ROOT / "build/release/lithe")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = DOCUMENT.read_text()
    new = re.sub(r"(<!-- table evidence -->\n).*?(\n<!-- end -->)", lambda m: m[1] + evidence(args.lithe) + m[2], text,
                 flags=re.S)
    if args.check:
        sys.exit(new != text)
    DOCUMENT.write_text(new)


if __name__ == "__main__":
    main()
