#!/usr/bin/env python3
"""Runs a list of trainings, one after the other, and adds a line for each to a table: the evidence behind docs/results.md.

    bench/queue.py bench/quality.toml --data books8=corpus.txt [--out bench/runs/quality.tsv] [--work runs/queue] [--only NAME]

A list names runs: [[run]] with name, config, data (a key of --data), time or tokens, and `set`, a list of settings. Without
`config` the planner chooses (time only; its plan is kept in the line). A [[grid]] is a run for every combination of the lists
in its `vary` table, whose keys stand as {key} in its other values. The table is bench/runs/LIST.tsv unless --out says
another. What has a line there is left out, and a run that was stopped goes on where it stopped, so that a long list can be
spread over days. Every run is evaluated on the whole validation split unless `whole = false`, and with `test = true` once on
the test split. Its training curve goes to bench/runs/LIST-curves.tsv unless `curve = false`. Runs bounded by tokens may share
the machine: their result does not depend on its speed. bench/runs/README.md says what the columns are.
"""
import argparse
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tomllib

import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent
lithe = ROOT / "build/release/lithe"


def call(arguments):
    done = subprocess.run([lithe, *arguments, "--json"], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"lithe {' '.join(map(str, arguments))} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def evaluate(folder, split):
    return call(["eval", folder, "--data", f":{split}"])["bits_per_byte"]


def curve(folder):
    """Training loss in bits, at most 60 points."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    points = [[round(each["seconds"], 1), each["tokens"], round(each["loss"] / 0.6931471805599453, 4)]
              for each in lines if "loss" in each]
    return points[::max(1, len(points) // 60)]


def expand(listed):
    """The runs of a list: its [[run]]s and every combination of its [[grid]]s."""
    def fill(value, chosen):
        if isinstance(value, list):
            return [fill(each, chosen) for each in value]
        return value.format(**chosen) if isinstance(value, str) else value

    runs = list(listed.get("run", []))
    for grid in listed.get("grid", []):
        vary = grid["vary"]
        for values in itertools.product(*vary.values()):
            chosen = dict(zip(vary, values))
            runs.append({key: fill(value, chosen) for key, value in grid.items() if key != "vary"})
    return runs


def run(entry, data, work):
    folder = work / entry["name"]
    if ("time" in entry) == ("tokens" in entry):
        sys.exit(f"{entry['name']}: give time or tokens")
    budget = "time" if "time" in entry else "tokens"
    sets = ["evaluation.every_seconds=0", "sample.tokens=0", *entry.get("set", [])]
    if "config" in entry:
        subject = ROOT / entry["config"]
        sets.insert(0, f"data.path={data}")
    else:
        subject = data
        sets.append("evaluation.bytes=500000")
    flags = [flag for each in sets for flag in ("--set", each)]
    trained = call(["train", subject, "--run", folder, f"--max-{budget}", entry[budget], *flags])
    config = tomllib.loads((folder / "config.toml").read_text())
    start = json.loads((folder / "run.json").read_text())
    start = start["starts"][-1] if "starts" in start else start
    plan = {} if "config" in entry else json.loads((folder / "plan.json").read_text())
    chosen, expected, perf = plan.get("chosen", {}), plan.get("expected", {}), trained["perf"]
    return {"name": entry["name"], "config": entry.get("config", "plan"), "data": entry["data"],
            "budget": f"{budget}={entry[budget]}", "settings": "; ".join(entry.get("set", [])),
            "steps": trained["steps"], "tokens": trained["tokens"], "seconds": round(trained["seconds"], 1),
            "first_bits": trained["valid"]["bits_per_byte"],
            "valid_bits": evaluate(folder, "valid") if entry.get("whole", True) else None,
            "test_bits": evaluate(folder, "test") if entry.get("test") else None,
            "tokens_per_second": round(perf["tokens_per_second"]), "peak_mib": round(perf["peak_rss_bytes"] / 2**20),
            "order": config["data"]["order"], "schedule": config["schedule"]["name"],
            **{key: start.get(key) for key in ("cpu", "isa", "precision", "threads")},
            "date": start["time"][:10], "lithe": start.get("lithe"),
            **{key: chosen.get(key) for key in ("layers", "width", "ngram_rows", "batch")},
            "expected_bits": expected.get("bits_per_byte"), "low": expected.get("low"), "high": expected.get("high")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH", help="where a corpus lies")
    parser.add_argument("--out", type=pathlib.Path, help="the table; default: bench/runs/LIST.tsv")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "runs/queue")
    parser.add_argument("--only", default="", help="runs whose name contains this")
    parser.add_argument("--lithe", type=pathlib.Path, default=lithe, help="the program, e.g. a copy that builds do not touch")
    args = parser.parse_args()
    globals()["lithe"] = args.lithe.resolve()
    places = dict(each.split("=", 1) for each in args.data)
    table = args.out or tables.FOLDER / f"{args.list.stem}.tsv"
    for entry in expand(tomllib.loads(args.list.read_text())):
        if args.only not in entry["name"] or entry["name"] in {row["name"] for row in tables.read(table)}:
            continue
        if entry["data"] not in places:
            sys.exit(f"{entry['name']} needs --data {entry['data']}=PATH")
        result = run(entry, pathlib.Path(places[entry["data"]]).resolve(), args.work)
        tables.append(table, result)
        if entry.get("curve", True):
            points = curve(args.work / entry["name"])
            tables.append(table.with_name(f"{table.stem}-curves.tsv"),
                          {"name": entry["name"], "seconds:tokens:bits": tables.curve_cell(points)})
        shutil.rmtree(args.work / entry["name"])
        whole = f", {result['valid_bits']:.4f} on all" if result["valid_bits"] else ""
        print(f"{entry['name']}: {result['first_bits']:.4f} bits per byte on the first validation tokens{whole}", flush=True)


if __name__ == "__main__":
    main()
