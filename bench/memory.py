#!/usr/bin/env python3
"""Peak memory of short trainings beside what `lithe info` expects of them.

    bench/memory.py [--lithe build/release/lithe] [--text CORPUS] [--only NAME]

Each training makes a few updates, evaluates and saves; its peak is VmHWM. Prints a table, and the exit code is 1 where an
expectation is off by more than a tenth.
"""
import argparse
import json
import pathlib
import sys
import tempfile

from programs import Failed, output_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLAN = "configs/bytes-srupp.toml"
# name, configuration, settings
ROWS = [
    ("plan 2 x 128", PLAN, {"model.width": 128, "model.layout": "ru", "blocks.r.projection": 32, "blocks.u.projection": 32}),
    ("plan, long n-grams", PLAN, {"model.width": 128, "model.layout": "ru", "blocks.r.projection": 32,
                                  "blocks.u.projection": 32, "model.ngrams.rows": 524288, "train.batch": 64}),
    ("plan, fp32", PLAN, {"train.precision": "fp32"}),
    ("plan 6 x 640", PLAN, {"model.width": 640, "model.layout": "rrrrru", "blocks.r.projection": 160,
                            "blocks.u.projection": 160, "train.batch": 64}),
    ("SRU++ small", "configs/enwik8-srupp-small.toml", {}),
    ("SRU++ base", "configs/enwik8-srupp-base.toml", {"train.batch": 8}),
    ("Transformer-XL", "configs/enwik8-txl-12l.toml", {"train.batch": 8}),
    ("attention, AdamW", PLAN, {"model.layout": "(sf)x6", "model.width": 512, "model.heads": 8, "model.ngrams.lengths": "",
                                "optimizer.name": "adamw", "model.positions": "relative"}),
    ("LSTM", PLAN, {"model.layout": "lx4", "model.width": 512, "model.ngrams.lengths": "", "optimizer.name": "adamw"}),
    ("attention, recomputed", PLAN, {"model.layout": "(sf)x12", "model.width": 512, "model.heads": 8,
                                     "model.ngrams.lengths": "", "optimizer.name": "adamw", "train.batch": 64,
                                     "train.recompute": "uniform:3"}),
    ("attention, optimal:2", PLAN, {"model.layout": "(sf)x12", "model.width": 512, "model.heads": 8,
                                    "model.ngrams.lengths": "", "optimizer.name": "adamw", "train.batch": 64,
                                    "train.recompute": "optimal:2"}),
    ("attention, selective", PLAN, {"model.layout": "(sf)x12", "model.width": 512, "model.heads": 8,
                                    "model.ngrams.lengths": "", "optimizer.name": "adamw", "train.batch": 64,
                                    "train.recompute": "selective"}),
    ("average, lookahead", PLAN, {"optimizer.average": 0.99, "optimizer.lookahead_steps": 5, "model.width": 512}),
]


def measure(lithe, text, config, settings, folder):
    sets = dict(settings, **{"data.path": text, "train.max_steps": 12, "evaluation.bytes": 200000, "train.max_tokens": 0,
                             "train.max_seconds": 0, "sample.tokens": 20, "model.vocabulary_size": 0})
    flags = [flag for key, value in sets.items()
             for flag in ("--set", f"{key}={json.dumps(value) if isinstance(value, str) else value}")]
    command = [lithe, "train", ROOT / config, "--run", folder, "--json", "-q", *flags]
    trained = json.loads(output_of(command).splitlines()[-1])
    return trained["perf"]["peak_rss_bytes"], trained["perf"]["expected_rss_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lithe", default=ROOT / "build/release/lithe", type=pathlib.Path)
    parser.add_argument("--text", required=True, help="a text of some megabytes")
    parser.add_argument("--only", help="rows whose name holds this")
    args = parser.parse_args()
    wrong = False
    print(f"{'training':22} {'peak MiB':>9} {'expected':>9}  ratio")
    for name, config, settings in ROWS:
        if args.only and args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            peak, expected = measure(args.lithe, args.text, config, settings, folder + "/run")
        ratio = expected / peak
        wrong = wrong or not 0.9 <= ratio <= 1.1
        print(f"{name:22} {peak / 2**20:9.0f} {expected / 2**20:9.0f}  {ratio:.2f}", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(str(failure))
