#!/usr/bin/env python3
"""Writes the tables of the documents that are made of run summaries, between their <!-- table NAME --> marks.

    bench/results.py [--lithe build/release/lithe] [--check]

`evidence` in docs/lab/results.md is of bench/runs/evidence.tsv, made by bench/evidence.toml. Parameters and FLOPs are what
`lithe info` counts for the same settings. `planned` in docs/lab/planner.md and `planned-avx2` in docs/results.md
are of the tables of these names, made by bench/planned.toml on two machines; * has the recipe of until 2026-11-28. `handmade`
in docs/lab/planner.md has the best of bench/runs/handmade.tsv, made by bench/handmade.toml, and the planned runs of the
minutes that their tokens take on each machine.
Runs that differ in their seed only are one row: the mean, and half the 95 % interval with three or more.
With --check nothing is written, and the exit code says whether the documents are up to date.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys

import tables
from programs import Failed, output_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
# tokens per second by width, from which bench/handmade.toml has its budgets
HANDMADE_SPEED = {256: 77_000, 384: 39_500, 512: 22_500, 640: 13_200}
AVX2_MINUTES = {1: 3, 3: 10, 10: 30}  # of the machine of bench/runs/planned-avx2.tsv for the same tokens
SHORT_TEXTS = ("shakespeare",)  # whose recipe is still that of all texts until 2026-11-28
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # 95 %, by the number of runs


def titles():
    """Name of a run without its seed -> the comment above it in the list."""
    found = {}
    for title, name in re.findall(r'# (.+)\n\[\[run\]\]\nname = "(.+)-seed\d+"', (ROOT / "bench/evidence.toml").read_text()):
        found[name] = title
    return found


def counted(lithe, run):
    sets = [flag for each in run["settings"].split("; ") if each for flag in ("--set", each)]
    return json.loads(output_of([lithe, "info", ROOT / run["config"], *sets, "--json"]).splitlines()[-1])


def bits_cell(values):
    if len(values) < 3:
        return f"{statistics.mean(values):.4f}"
    half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.4f} ± {half:.4f}"


def seeds_together(study):
    """Name without the seed -> runs."""
    runs = {}
    for run in tables.read(tables.FOLDER / f"{study}.tsv"):
        runs.setdefault(re.sub(r"-seed\d+$", "", run["name"]), []).append(run)
    return runs


def minutes_of(run):
    return int(run["budget"].removeprefix("time=").rstrip("m"))


def planned(study):
    rows = []
    for group in seeds_together(study).values():
        first = group[0]
        shapes = " or ".join(sorted({f"{run['layers']} x {run['width']}" for run in group}))
        if first["data"] not in SHORT_TEXTS and first["schedule"] == "cosine":
            shapes += "*"
        expected, low, high = (float(first[key]) for key in ("expected_bits", "low", "high"))
        bits = [bits_cell([float(run[key]) for run in group]) for key in ("first_bits", "valid_bits", "test_bits")]
        rows.append(((first["data"], minutes_of(first)),
                     f"| {first['data']} | {minutes_of(first)} | {shapes} | "
                     f"{statistics.mean(int(run['tokens']) for run in group) / 1e6:.1f}M | "
                     f"{expected:.3f} ({low:.3f} to {high:.3f}) | {len(group)} | " + " | ".join(bits) + " |"))
    head = ["| text | minutes | plan | tokens trained | expected (9 of 10) | seeds | first 500,000 bytes of validation | "
            "whole validation split | test split |", "|---|---|---|---|---|---|---|---|---|"]
    return "\n".join(head + [row for _, row in sorted(rows)])


def handmade():
    def planned_bits(study):
        return {(group[0]["data"], minutes_of(group[0])): statistics.mean(float(run["first_bits"]) for run in group)
                for group in seeds_together(study).values()}

    def beside(best, bits):
        return f"{bits:.4f} | {bits / best - 1:+.1%} |" if bits else "| |"

    fast, slow = planned_bits("planned"), planned_bits("planned-avx2")
    runs = {}
    for (run,) in seeds_together("handmade").values():
        width = int((re.search(r"model\.width=(\d+)", run["settings"]) or [0, 512])[1])
        key = run["data"], round(int(run["tokens"]) / HANDMADE_SPEED[width] / 60)
        runs.setdefault(key, []).append((float(run["first_bits"]), run["name"]))
    rows = []
    for (data, minutes), group in sorted(runs.items()):
        best, name = min(group)
        more = AVX2_MINUTES[minutes]
        rows.append(f"| {data} | {len(group)} | `{name.removeprefix(f'hand-{data}-')}` | {best:.4f} | {minutes} | "
                    f"{beside(best, fast.get((data, minutes)))} {more} | {beside(best, slow.get((data, more)))}")
    head = ["| text | hand-made, run | the best | its bits per byte | minutes on Zen 4 | planned | difference | minutes on Zen 3 | "
            "planned | difference |", "|---|---|---|---|---|---|---|---|---|---|"]
    return "\n".join(head + rows)


def evidence(lithe):
    runs = seeds_together("evidence")
    rows = []
    for name, title in titles().items():
        if name not in runs:
            continue
        group = runs[name]
        info = counted(lithe, group[0])
        tokens = statistics.mean(int(run["tokens"]) for run in group)
        bits = [float(run["first_bits"]) for run in group]
        rows.append((statistics.mean(bits),
                     f"| {title} | `{info['layout']}` | {info['parameters'] / 1e6:.2f}M | {tokens / 1e6:.1f}M | "
                     f"{tokens * info['training_flops_per_token'] / 1e12:.0f} | {max(int(run['peak_mib']) for run in group)} | "
                     f"{len(group)} | {bits_cell(bits)} |"))
    head = ["| architecture | layout | parameters | tokens trained | TFLOP | peak MiB | seeds | bits per byte |",
            "|---|---|---|---|---|---|---|---|"]
    return "\n".join(head + [row for _, row in sorted(rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lithe", type=lambda text: pathlib.Path(text).resolve(), default=ROOT / "build/release/lithe")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    stale = False
    for document, name, table in (("lab/results.md", "evidence", evidence(args.lithe)), ("lab/planner.md", "planned", planned("planned")),
                                  ("results.md", "planned-avx2", planned("planned-avx2")),
                                  ("lab/planner.md", "handmade", handmade())):
        path = ROOT / "docs" / document
        text = path.read_text()
        new, found = re.subn(rf"(<!-- table {name} -->\n).*?(\n<!-- end -->)", lambda m: m[1] + table + m[2], text, flags=re.S)
        if found != 1:
            sys.exit(f"docs/{document} has no lines <!-- table {name} --> and <!-- end --> with a line between them")
        stale = stale or new != text
        if not args.check:
            path.write_text(new)
    sys.exit(args.check and stale)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(str(failure))
