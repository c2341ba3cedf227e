#!/usr/bin/env python3
"""Installs a build into an empty folder, builds examples/ against that alone, and uses them: check_examples.py BUILD COMPILER"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES = 40
CONFIG = """[model]
width = 16
layout = "u(sf)"
heads = 2
memory = 8
[blocks.u]
heads = 1
[data]
vocabulary = "used"
[optimizer]
learning_rate = 1e-2
[schedule]
name = "constant"
warmup = 5
[train]
batch = 4
length = 16
threads = 1
precision = "fp32"
[evaluation]
bytes = 500
[sample]
tokens = 0
"""


def run(*command, expect=0):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != expect:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done.stdout if expect == 0 else done.stderr


def check(condition, what):
    if not condition:
        sys.exit(f"not so: {what}")


def number(pattern, text):
    found = re.search(pattern, text)
    check(found, f"{pattern!r} in {text!r}")
    return float(found[1])


def build_examples(build, compiler, folder):
    """The folder of the built examples, which saw nothing of the checkout but examples/."""
    prefix, built = folder / "prefix", folder / "built"
    run("cmake", "--install", build, "--prefix", prefix)
    run("cmake", "-S", ROOT / "examples", "-B", built, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={compiler}",
        "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    run("cmake", "--build", built)
    commands = json.loads((built / "compile_commands.json").read_text())
    seen = [word for each in commands for word in each["command"].split() if str(ROOT) in word]
    check(all(word.startswith(str(ROOT / "examples")) for word in seen), f"only examples/ is seen, got {seen}")
    return prefix, built


def check_use(lithe, examples, folder):
    text, config, model = folder / "text.txt", folder / "small.toml", folder / "run"
    config.write_text(CONFIG)
    text.write_text("".join(f"the mill on the floss, page {i}; the miller grinds {i * i % 97} sacks.\n" for i in range(400)))
    first = run(examples / "train", config, text, model, 30)
    check(first.startswith("step 30, steps"), f"30 steps are made, got {first!r}")
    check((model / "checkpoints/step-000000030").is_dir(), "the last step is saved")
    on = run(examples / "train", config, text, model, 60)
    check(on.startswith("step 60, steps"), f"the run goes on, got {on!r}")
    bits = [number(r"([\d.]+) bits per byte", each) for each in (first, on)]
    check(bits[1] < bits[0] < 8, f"it learns, got {bits}")

    piece, noise = folder / "piece.txt", folder / "noise.txt"
    piece.write_text(text.read_text()[:2000])
    content = piece.read_text()
    noise.write_text("".join(content[i * 787 % 2000] for i in range(2000)))  # the same letters in another order
    scored, worse = run(examples / "score", model, piece, noise).splitlines()
    mine = number(r"([\d.]+) bits per byte, 1999 tokens", scored)
    check(number(r"([\d.]+) bits per byte", worse) > mine, "noise costs more than text")
    told = json.loads(run(lithe, "eval", model, "--data", piece, "--batch", 1, "--lead", 0, "--threads", 1, "--json"))
    check(abs(told["bits_per_byte"] - mine) < 1e-4, f"the program says so too: {told['bits_per_byte']}, got {mine}")
    check("no such run" in run(examples / "score", folder / "none", piece, expect=3), "an error has a kind and words")

    made = run(examples / "generate", model, "the mill", 50, 7)
    told = json.loads(run(lithe, "generate", model, "--prompt", "the mill", "--tokens", 50, "--seed", 7, "--threads", 1, "--json"))
    check(made == told["text"] + "\n", f"the program writes {told['text']!r} too, got {made!r}")
    check(made != run(examples / "generate", model, "the mill", 50, 8), "another seed draws another text")


def main():
    build, compiler = sys.argv[1:]
    for path in sorted((ROOT / "examples").glob("*.cpp")):
        lines = path.read_text().count("\n")
        check(lines <= LINES, f"{path.name} has at most {LINES} lines, got {lines}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix, examples = build_examples(pathlib.Path(build), compiler, folder)
        check_use(prefix / "bin/lithe", examples, folder)
    print("examples: ok")


if __name__ == "__main__":
    main()
