#!/usr/bin/env python3
"""Fits the planner's table to measured runs and writes src/lithe/plan/fitted.h. Needs numpy and scipy.

    bench/fit_planner.py [--runs docs/runs/planner] [--planned docs/runs/planned] [--write]

The runs are those of bench/planner.toml. The formula stands in src/lithe/plan/prediction.h; docs/planner.md tells what came
out. Logarithms of bits per byte are fitted, so that errors are relative. The spread is that of leaving each run out in turn and
of the planned runs (bench/planned.toml), which are never fitted; it says nothing of a text of another kind than these three.
"""
import argparse
import json
import math
import pathlib
import re

import numpy
from scipy.optimize import least_squares

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST_ROWS, RECIPE_ROWS = 524288, 131072  # of plan/shapes.h, of configs/bytes-srupp.toml
SHORT_TEXT = 4e6  # of plan/prediction.h: bytes below which n-grams are short
REFERENCE = "books8"
# of the training split: bytes, and bits per byte that xz makes of the sample (`lithe plan TEXT --json`)
CORPORA = {
    "books8": (90_000_000, 2.4669),
    "headers": (13_760_809, 1.1179),
    "shakespeare": (1_003_854, 2.6217),
}
NAMES = ["floor", "size_factor", "size_power", "data_factor", "data_power", "repeat_loss", "rows_loss", "difficulty_power",
         "learned_power", "short_factor", "repeat_power"]
START = [1.0, math.log(10), 0.25, math.log(40), 0.3, 0.02, 0.005, 1.0, 0.0, 1.0, 0.1]


def amount(text):
    return float(text[:-1]) * {"k": 1e3, "M": 1e6}[text[-1]] if text[-1] in "kM" else float(text)


def as_planned(run):
    chosen = run["plan"]["chosen"]
    return {"name": run["name"], "data": run["data"], "tokens": run["tokens"], "bits": run["first_tokens_valid"],
            "size": chosen["layers"] * chosen["width"] ** 2, "rows": chosen["ngram_rows"]}


def read(folder):
    runs = []
    for path in sorted(folder.glob("*.json")):
        run = json.loads(path.read_text())
        if "plan" in run:  # a plan of an earlier table, kept for what it tells of much too many readings
            runs.append(as_planned(run))
            continue
        settings = dict(each.split("=", 1) for each in run["set"])
        width = int(settings["model.width"])
        layers = len(settings["model.layout"])
        if float(settings.get("model.dropout", 0)):
            continue  # the planner uses none
        runs.append({"name": run["name"], "data": run["data"], "size": layers * width * width, "tokens": run["tokens"],
                     "rows": int(settings.get("model.ngram_rows", RECIPE_ROWS)),
                     "bits": run["first_tokens_valid"]})
    return runs


def read_planned(folder):
    return [as_planned(json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]


def best_of_each(runs):
    """Of runs that differ in their batch only and ended at the same token, the best."""
    best = {}
    for run in runs:
        key = (run["data"], run["size"], run["tokens"], run["rows"])
        if key not in best or run["bits"] < best[key]["bits"]:
            best[key] = run
    return list(best.values())


def predict(x, run):
    (floor, size_factor, size_power, data_factor, data_power, repeat_loss, rows_loss, difficulty, learned_power,
     short_factor, repeat_power) = x
    unique, packed = CORPORA[run["data"]]
    tokens = run["tokens"]
    hard = packed / CORPORA[REFERENCE][1]
    by_size = math.exp(size_factor) * run["size"] ** -size_power * (short_factor if unique < SHORT_TEXT else 1)
    learned = by_size + math.exp(data_factor) * tokens ** -data_power
    rows = 1 + rows_loss * math.log2(MOST_ROWS / run["rows"])
    again = 1 + repeat_loss * (run["size"] / 1e6) ** repeat_power * max(0.0, tokens / unique - 1)
    return (floor * hard ** difficulty + learned * hard ** learned_power) * rows * again


def fit(runs):
    low = [0.3, -5, 0.02, -5, 0.05, 0, 0, 0, -2, 0.2, 0]
    high = [1.6, 12, 1.0, 15, 1.0, 0.3, 0.05, 5, 3, 5, 2]
    def errors(x):
        return [math.log(predict(x, run) / run["bits"]) for run in runs]
    return least_squares(errors, START, bounds=(low, high), loss="soft_l1", f_scale=0.02).x


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "docs/runs/planner")
    parser.add_argument("--planned", type=pathlib.Path, default=ROOT / "docs/runs/planned")
    parser.add_argument("--write", action="store_true", help="write src/lithe/plan/fitted.h")
    args = parser.parse_args()
    runs = best_of_each(read(args.runs))
    x = fit(runs)
    left_out = []  # of runs that have company on their text
    print(f"{'run':40} {'bits':>7} {'fitted':>7} {'error':>7} {'left out':>8}")
    for i, run in enumerate(runs):
        alone = math.nan  # where nothing else tells of its text
        if sum(other["data"] == run["data"] for other in runs) > 1:
            alone = math.log(predict(fit(runs[:i] + runs[i + 1:]), run) / run["bits"])
            left_out.append(alone)
        fitted = predict(x, run)
        print(f"{run['name']:40} {run['bits']:7.4f} {fitted:7.4f} {100 * math.log(fitted / run['bits']):6.2f}% "
              f"{100 * alone:7.2f}%")
    for run in read_planned(args.planned):
        fitted = predict(x, run)
        left_out.append(math.log(fitted / run["bits"]))
        print(f"{run['name']:40} {run['bits']:7.4f} {fitted:7.4f} {'':7} {100 * left_out[-1]:7.2f}%")
    spread = float(numpy.sqrt(numpy.mean(numpy.square(left_out))))
    values = dict(zip(NAMES, x))
    for name in ("size_factor", "data_factor"):
        values[name] = math.exp(values[name])
    values["reference_packed_bits"] = CORPORA[REFERENCE][1]
    values["spread"] = spread
    constants = ",\n    ".join(
        f"k{re.sub('_(.)', lambda m: m[1].upper(), name[0].upper() + name[1:])} = {value:.6g}" for name, value in values.items())
    text = ("// Made by bench/fit_planner.py from docs/runs/planner/*.json. Do not edit.\n#pragma once\n\n"
            f"namespace lithe::fitted {{\n\ninline constexpr double\n    {constants};\n\n}}  // namespace lithe::fitted\n")
    print(text)
    if args.write:
        (ROOT / "src/lithe/plan/fitted.h").write_text(text)


if __name__ == "__main__":
    main()
