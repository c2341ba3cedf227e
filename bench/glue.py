#!/usr/bin/env python3
"""From plain text to scores of tasks: trains encoders, teaches each of them every task, and adds a line for each to a table.

    bench/glue.py bench/encoders.toml --data books8=books8.txt --glue glue_small [--out bench/runs/encoders.tsv]
        [--work runs/encoders] [--only NAME] [--tasks SST-2,CoLA]

A list has [[encoder]]s: name, config, data (a key of --data), tokens (0: its weights are as the seed draws them, the
control), set; and one [finetune] with the recipe for all tasks: seeds, and flags of `lithe finetune`. The folder of tasks
holds SST-2, CoLA, RTE and STS-B as GLUE distributes them; their dev files are what is scored. What has a line in the table
is left out, and a training that was stopped goes on, so that a list can be spread over days. Trainings are bounded by
tokens and fine-tuning by epochs: results do not depend on the machine's speed. Scores are those of the best evaluation.
"""
import argparse
import datetime
import json
import pathlib
import sys
import tomllib

import programs
import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent
# flags that name a task's columns, and the score that GLUE has for it
TASKS = {
    "SST-2": (["--field", "sentence", "--label", "label"], "accuracy"),
    "CoLA": (["--field", "4", "--label", "2"], "matthews"),
    "RTE": (["--field", "sentence1", "--second", "sentence2", "--label", "label"], "accuracy"),
    "STS-B": (["--field", "sentence1", "--second", "sentence2", "--label", "score", "--regress"], "pearson"),
}


def call(lithe, arguments):
    return json.loads(programs.output_of([lithe, *arguments, "--json", "-q"]).splitlines()[-1])


def pretrain(lithe, entry, data, folder):
    """Trains an encoder, or goes on with it. Returns its validation score."""
    sets = [f"data.path={data}", "evaluation.every_seconds=0", *entry.get("set", [])]
    untrained = entry["tokens"] == 0
    if untrained:  # one update without effect: the weights are those of the seed
        sets += ["optimizer.learning_rate=1e-12", "optimizer.muon_learning_rate=1e-12", "optimizer.weight_decay=0"]
    budget = ["--max-steps", "1"] if untrained else ["--max-tokens", entry["tokens"]]
    flags = [flag for each in sets for flag in ("--set", each)]
    return call(lithe, ["train", ROOT / entry["config"], "--run", folder, *budget, *flags])


def finetune(lithe, model, task, seed, recipe, folder, glue):
    """Teaches a task. Returns the best evaluation's scores on its dev file."""
    columns, score = TASKS[task]
    flags = [word for key, value in recipe["flags"].items() for word in (f"--{key}", value)]
    sets = [flag for each in recipe.get("set", []) for flag in ("--set", each)]
    if not (folder / "checkpoints").exists():
        call(lithe, ["finetune", model, glue / task, "--run", folder, "--seed", seed, "--score", score, *columns, *flags, *sets])
    else:
        call(lithe, ["train", folder])
    return call(lithe, ["eval", f"{folder}@best"])


def line(entry, task, seed, trained, scored):
    """A row of the table; the scores of a task that it does not have are empty."""
    found = {each["name"]: each["value"] for each in scored["scores"]}
    start = json.loads(pathlib.Path(trained["run"], "run.json").read_text())["starts"][-1]
    row = {"encoder": entry["name"], "config": entry["config"], "data": entry["data"], "tokens": entry["tokens"],
           "settings": "; ".join(entry.get("set", [])), "task": task, "seed": seed}
    for name in ("accuracy", "f1", "matthews", "pearson", "spearman"):
        row[name] = f"{found[name]:.4f}" if name in found else None
    return row | {"cpu": start["cpu"], "precision": start["precision"], "date": datetime.date.today(), "lithe": start["lithe"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--glue", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=tables.FOLDER / "encoders.tsv")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("runs/encoders"))
    parser.add_argument("--only")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--lithe", type=pathlib.Path, default=ROOT / "build/release/lithe")
    given = parser.parse_args()
    texts = dict(each.split("=", 1) for each in given.data)
    listed = tomllib.loads(given.list.read_text())
    recipe = listed["finetune"]
    try:
        for entry in listed["encoder"]:
            if given.only and entry["name"] != given.only:
                continue
            if entry["data"] not in texts:
                sys.exit(f"{entry['name']}: no --data {entry['data']}=PATH")
            known = {(row["encoder"], row["task"], row["seed"]) for row in tables.read(given.out)}
            wanted = [(task, seed) for task in given.tasks.split(",") for seed in recipe["seeds"]
                      if (entry["name"], task, str(seed)) not in known]
            if not wanted:
                continue
            folder = given.work / entry["name"]
            trained = pretrain(given.lithe, entry, texts[entry["data"]], folder)
            for task, seed in wanted:
                scored = finetune(given.lithe, folder, task, seed, recipe, given.work / f"{entry['name']}-{task}-{seed}", given.glue)
                tables.append(given.out, line(entry, task, seed, trained, scored))
                print(entry["name"], task, seed, scored["score"], flush=True)
    except programs.Failed as failed:
        sys.exit(str(failed))


if __name__ == "__main__":
    main()
