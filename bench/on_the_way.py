#!/usr/bin/env python3
"""What an evaluation on the way tells of a planned training's end: trains, and fits src/lithe/plan/on_the_way.h.

    bench/on_the_way.py train NAME TEXT [TOKENS]   plans a minute, trains TOKENS (2M), adds its evaluations to the table
    bench/on_the_way.py fit [--write]              of all lines of bench/runs/on-the-way.tsv

Trainings are bounded by tokens, so that a busy machine changes nothing. The formula stands in src/lithe/plan/promise.cpp:
what the table says of the way that is left, and (1 + high_rate * share left) for a rate that has not fallen yet. Texts are
not those of users: the spread is that of texts left out, of an evaluation at the start; it shrinks as the root of what is left.
"""
import json
import math
import os
import pathlib
import re
import statistics
import sys
import tempfile

import tables
from programs import Failed, output_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
LITHE = pathlib.Path(os.environ.get("LITHE", ROOT / "build/release/lithe"))  # a copy that builds do not touch
TABLE = tables.FOLDER / "on-the-way.tsv"
SHORT_TEXT, SAMPLE, SAMPLE_POWER = 4e6, 4 << 20, 0.038  # of plan/prediction.h, plan/corpus_look.h, plan/prediction.cpp


def constants():
    text = (ROOT / "src/lithe/plan/fitted.h").read_text()
    return {name: float(value) for name, value in re.findall(r"k(\w+) = ([-\d.e+]+)", text)}


def predict(c, run, tokens):
    """plan/prediction.cpp, without what does not depend on the tokens."""
    text, size = float(run["text_tokens"]), float(run["layers"]) * float(run["width"]) ** 2
    filled = min(1.0, text / SAMPLE)
    hard = float(run["packed_bits"]) * filled ** SAMPLE_POWER / c["ReferencePackedBits"]
    short = text < SHORT_TEXT
    learned = (c["SizeFactor"] * (c["ShortFactor"] if short else 1) * size ** -c["SizePower"] +
               c["DataFactor"] * tokens ** -c["DataPower"])
    again = c["RepeatLoss"] * (size / 1e6) ** c["RepeatPower"] if short else c["LongRepeatLoss"]
    return ((c["Floor"] * hard ** c["DifficultyPower"] + learned * hard ** c["LearnedPower"]) *
            (1 + again * max(0.0, tokens / text - 1)))


def train(name, text, tokens):
    text = pathlib.Path(text).resolve()
    with tempfile.TemporaryDirectory() as folder:
        config, run = f"{folder}/plan.toml", f"{folder}/run"
        plan = json.loads(output_of([LITHE, "plan", text, "--max-time", "1m", "--out", config, "--json"]).splitlines()[-1])
        tokens = min(tokens, int(plan["corpus"]["tokens"]))
        per_step = plan["chosen"]["batch"] * 128
        sets = {"train.max_seconds": 0, "train.max_tokens": tokens, "evaluation.every_seconds": 0,
                "evaluation.every": max(1, tokens // per_step // 8), "evaluation.bytes": 500000, "sample.tokens": 0}
        output_of([LITHE, "train", config, "--run", run, "-q",
                   *[flag for key, value in sets.items() for flag in ("--set", f"{key}={value}")]])
        lines = [json.loads(line) for line in pathlib.Path(run, "metrics.jsonl").read_text().splitlines()]
        curve = [[line["tokens"], round(line["valid"]["bits_per_byte"], 5)] for line in lines if "valid" in line]
    corpus, chosen = plan["corpus"], plan["chosen"]
    tables.append(TABLE, {"name": name, "text_bytes": corpus["bytes"], "text_tokens": corpus["tokens"],
                          "valid_bytes": corpus["valid_bytes"], "packed_bits": corpus["packed_bits_per_byte"],
                          **{key: chosen[key] for key in ("layers", "width", "ngram_rows", "batch")},
                          "tokens:bits": tables.curve_cell(curve)})
    print(f"{name}: {curve[-1][1]} bits per byte after {curve[-1][0]} tokens")


def points(c, run):
    """(share left, log of what came out beside what the table makes of an evaluation on the way)"""
    *earlier, (tokens, bits) = tables.curve_points(run["tokens:bits"])
    for at, seen in earlier:
        rest = predict(c, run, tokens) / predict(c, run, at)
        yield 1 - at / tokens, math.log(bits / (seen * rest))


def high_rate(c, runs):
    """The factor that leaves no error at a quarter of the way, where the first evaluation is made."""
    of_runs = [min(points(c, run), key=lambda point: abs(point[0] - 0.75)) for run in runs]
    return statistics.mean((math.exp(-error) - 1) / left for left, error in of_runs)


def fit(write):
    c = constants()
    runs = tables.read(TABLE)
    errors = []
    for run in runs:
        rate = high_rate(c, [other for other in runs if other["name"] != run["name"]])
        of_run = [(left, error + math.log(1 + rate * left)) for left, error in points(c, run)]
        errors += [error / math.sqrt(left) for left, error in of_run if left > 0.1]
        print(f"{run['name']:14}", "  ".join(f"{100 * (1 - left):.0f} %: {100 * error:+.1f}" for left, error in of_run))
    spread = math.sqrt(statistics.mean(error * error for error in errors))
    text = ("// Made by bench/on_the_way.py from bench/runs/on-the-way.tsv. Do not edit.\n#pragma once\n\n"
            "namespace lithe::on_the_way {\n\n"
            f"inline constexpr double kHighRate = {high_rate(c, runs):.4g}, kSpread = {spread:.4g};\n\n"
            "}  // namespace lithe::on_the_way\n")
    print(text)
    if write:
        (ROOT / "src/lithe/plan/on_the_way.h").write_text(text)


def main():
    match sys.argv[1:]:
        case ["train", name, text, *tokens] if len(tokens) < 2:
            train(name, text, int(tokens[0]) if tokens else 2_000_000)
        case ["fit", *write] if write in ([], ["--write"]):
            fit(bool(write))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(str(failure))
