#!/usr/bin/env python3
"""Fits the planner's table to measured runs and writes src/lithe/plan/fitted.h. Needs numpy and scipy.

    bench/fit_planner.py [--runs bench/runs/planner.tsv] [--planned bench/runs/planned.tsv] [--write]

The runs are those of bench/planner.toml. The formula stands in src/lithe/plan/prediction.h; docs/lab/planner.md tells what came
out. Logarithms of bits per byte are fitted, so that errors are relative. Users' texts are not in the table: the spread is that
of runs whose text was left out of the fit, each text counting as much as another. Planned runs (bench/planned.toml) are never
fitted and only shown.
"""
import argparse
import math
import pathlib
import re

import numpy
from scipy.optimize import least_squares

import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS, FORMER_ROWS = "model.ngrams.rows", "model.ngram_rows"  # the latter in records of runs until 2026-11-29
MOST_ROWS, RECIPE_ROWS = 524288, 131072  # of plan/shapes.h, of configs/bytes-srupp.toml
SHORT_TEXT = 4e6  # of plan/prediction.h: bytes below which n-grams are short
SAMPLE = 4 << 20  # of plan/corpus_look.h: bytes that PPMd sees of a long text
SAMPLE_POWER = 0.038  # of plan/prediction.cpp: how its bits grow when it sees less
REFERENCE = "books8"
# of the training split: bytes, and bits per byte that PPMd makes of the sample (`lithe plan TEXT --json`)
CORPORA = {
    "books8": (90_000_000, 1.9454),
    "headers": (13_760_809, 1.0991),
    "shakespeare": (1_003_854, 2.0979),
    "python": (4_982_399, 1.4590),
    "kernel-docs": (19_234_863, 1.7892),
    "german": (8_857_675, 1.2675),
    "japanese": (9_660_597, 1.3603),
    "dictionary": (35_957_088, 1.6780),
}
NAMES = ["floor", "size_factor", "size_power", "data_factor", "data_power", "repeat_loss", "rows_loss", "learned_power",
         "short_factor", "repeat_power", "streams_loss", "former_loss"]
OF_RUNS = ("streams_loss", "former_loss")  # of runs that are not as plans are: the planner does not need them
START = [1.0, math.log(10), 0.25, math.log(40), 0.3, 0.02, 0.005, 0.0, 1.0, 0.1, 0.01, 0.02]
TEXT_WEIGHT = 0.1  # errors of runs within a text are a tenth of what PPMd misses of it
LOW = [0.3, -5, 0.02, -5, 0.05, 0, 0, 0, 0.2, 0, 0, 0]
HIGH = [1.6, 12, 1.0, 15, 1.0, 0.3, 0.05, 3, 5, 2, 0.1, 0.1]


def amount(text):
    return float(text[:-1]) * {"k": 1e3, "M": 1e6}[text[-1]] if text[-1] in "kM" else float(text)


def as_fitted(run):
    """A line of a table of runs, planned or configured."""
    settings = dict(each.split("=", 1) for each in run["settings"].split("; ") if each)
    layers, width = int(run["layers"] or len(settings["model.layout"])), int(run["width"] or settings["model.width"])
    return {"name": run["name"], "data": run["data"], "tokens": int(run["tokens"]), "bits": float(run["first_bits"]),
            "size": layers * width * width, "rows": int(run["ngram_rows"] or settings.get(ROWS, settings.get(FORMER_ROWS, RECIPE_ROWS))),
            "order": run["order"], "dropout": float(settings.get("model.dropout", 0)),
            # a long text with the recipe of until 2026-11-28: n-grams to 6 and a cosine
            "former": run["schedule"] == "cosine" and CORPORA[run["data"]][0] >= SHORT_TEXT}


def read(table):
    runs = [as_fitted(run) for run in tables.read(table)]
    # Plans have no dropout. How much longer n-grams gain depends on the text: of the former recipe one text's runs say how
    # sizes compare.
    return [run for run in runs if not run["dropout"] and (not run["former"] or run["data"] == REFERENCE)]


def best_of_each(runs):
    """Of runs that differ in their batch only and ended at the same token, the best."""
    best = {}
    for run in runs:
        key = (run["data"], run["size"], run["tokens"], run["rows"], run["order"], run["former"])
        if key not in best or run["bits"] < best[key]["bits"]:
            best[key] = run
    return list(best.values())


def predict(x, hard, run):
    (floor, size_factor, size_power, data_factor, data_power, repeat_loss, rows_loss, learned_power, short_factor,
     repeat_power, streams_loss, former_loss) = x
    unique, tokens = CORPORA[run["data"]][0], run["tokens"]
    by_size = math.exp(size_factor) * run["size"] ** -size_power * (short_factor if unique < SHORT_TEXT else 1)
    learned = by_size + math.exp(data_factor) * tokens ** -data_power
    rows = 1 + rows_loss * math.log2(MOST_ROWS / run["rows"])
    # of long texts long_repeat_loss tells it
    repeated = repeat_loss * (run["size"] / 1e6) ** repeat_power if unique < SHORT_TEXT else 0
    again = 1 + repeated * max(0.0, tokens / unique - 1)
    other = 1 + streams_loss if run["order"] == "streams" and unique >= SHORT_TEXT else 1
    if run["former"]:
        other *= 1 + former_loss
    return (floor * hard + learned * hard ** learned_power) * rows * again * other


def packed(text):
    size, bits = CORPORA[text]
    return math.log(bits * min(1, size / SAMPLE) ** SAMPLE_POWER / CORPORA[REFERENCE][1])


def fit(runs):
    """The formula's numbers, the power of what PPMd makes of a text that tells how hard it is, and how hard each text is: it
    may differ from what PPMd says (a random effect), so that what is seen within a text is not mixed with what PPMd misses."""
    texts = sorted({run["data"] for run in runs})
    def errors(z):
        x, power, free = z[:len(START)], z[len(START)], dict(zip(texts, z[len(START) + 1:]))
        of_runs = [math.log(predict(x, math.exp(free[run["data"]]), run) / run["bits"]) for run in runs]
        return of_runs + [TEXT_WEIGHT * (free[text] - power * packed(text)) for text in texts]
    z = least_squares(errors, START + [1.0] + [packed(text) for text in texts], loss="soft_l1", f_scale=0.02,
                      bounds=(LOW + [0] + [-2] * len(texts), HIGH + [5] + [2] * len(texts))).x
    free = z[len(START) + 1:]
    return z[:len(START)], z[len(START)], {text: math.exp(each) for text, each in zip(texts, free)}


def read_again(run):
    """How often a long text was read beyond once; a few percent are not counted."""
    unique = CORPORA[run["data"]][0]
    again = run["tokens"] / unique - 1
    return again if unique >= SHORT_TEXT and again > 0.05 else 0.0


def long_repeat_loss(fitted, runs):
    """What a further reading of a long text costs, the mean over runs. Plans avoid it, so that its form need not be known."""
    x, _, hardness = fitted
    return numpy.mean([(run["bits"] / predict(x, hardness[run["data"]], run) - 1) / read_again(run) for run in runs])


def expected(fitted, run):
    x, power, _ = fitted
    return predict(x, math.exp(power * packed(run["data"])), run)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=pathlib.Path, default=tables.FOLDER / "planner.tsv")
    parser.add_argument("--planned", type=pathlib.Path, default=tables.FOLDER / "planned.tsv")
    parser.add_argument("--write", action="store_true", help="write src/lithe/plan/fitted.h")
    args = parser.parse_args()
    listed = best_of_each(read(args.runs))
    runs, again = [run for run in listed if not read_again(run)], [run for run in listed if read_again(run)]
    fitted = fit(runs)
    x, power, hardness = fitted
    texts = {run["data"] for run in runs}
    short = [text for text in texts if CORPORA[text][0] < SHORT_TEXT]
    # where nothing else tells what short texts are like, only how hard it is is taken from the others
    without = {text: fitted if short == [text] else fit([run for run in runs if run["data"] != text]) for text in texts}
    errors = {text: [] for text in without}
    print(f"{'run':50} {'bits':>7} {'within its text':>15} {'expected':>8} {'error':>7} {'its text left out':>18}")
    for run in sorted(runs, key=lambda run: run["name"]):
        within, known = predict(x, hardness[run["data"]], run), expected(fitted, run)
        errors[run["data"]].append(math.log(expected(without[run["data"]], run) / run["bits"]))
        print(f"{run['name']:50} {run['bits']:7.4f} {100 * math.log(within / run['bits']):14.2f}% {known:8.4f} "
              f"{100 * math.log(known / run['bits']):6.2f}% {100 * errors[run['data']][-1]:17.2f}%")
    for run in [run for run in map(as_fitted, tables.read(args.planned)) if not run["former"]]:
        known = expected(fitted, run)
        print(f"{run['name']:50} {run['bits']:7.4f} {'':15} {known:8.4f} {100 * math.log(known / run['bits']):6.2f}%")
    for text, each in errors.items():
        print(f"{text:12} hardness {hardness[text]:.3f}, by PPMd {math.exp(power * packed(text)):.3f}; left out: "
              f"{100 * math.sqrt(numpy.mean(numpy.square(each))):.1f}%")
    spread = math.sqrt(numpy.mean([numpy.mean(numpy.square(each)) for each in errors.values()]))
    values = dict(zip(NAMES, x))
    for name in ("size_factor", "data_factor"):
        values[name] = math.exp(values[name])
    values["difficulty_power"] = power
    values["learned_power"] *= power
    values["reference_packed_bits"] = CORPORA[REFERENCE][1]
    values["long_repeat_loss"] = long_repeat_loss(fitted, again)
    values["spread"] = spread
    print("of runs that are not as plans are:", {name: round(values.pop(name), 4) for name in OF_RUNS})
    constants = ",\n    ".join(
        f"k{re.sub('_(.)', lambda m: m[1].upper(), name[0].upper() + name[1:])} = {0 if abs(value) < 1e-9 else value:.6g}"
        for name, value in values.items())
    text = ("// Made by bench/fit_planner.py from bench/runs/planner.tsv. Do not edit.\n#pragma once\n\n"
            f"namespace lithe::fitted {{\n\ninline constexpr double\n    {constants};\n\n}}  // namespace lithe::fitted\n")
    print(text)
    if args.write:
        (ROOT / "src/lithe/plan/fitted.h").write_text(text)


if __name__ == "__main__":
    main()
