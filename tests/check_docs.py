#!/usr/bin/env python3
"""Runs the commands of README.md and docs/ as they stand, in an empty folder with a text, and looks for what they are said to
print.

    tests/check_docs.py LITHE [PAGE ...]

A block of ```sh is run line by line; a block of ```text right after it is what it prints. Numbers may be others, "…" stands
for any words, and lines of the output that the page leaves out do not matter. Times are shortened to a twentieth.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# folders of pages: each page finds what those before it in the same folder made
PAGES = [["docs/how_to/train_on_my_text.md", "docs/how_to/configurations.md", "docs/how_to/go_on_and_move.md",
          "docs/how_to/fine_tune.md", "docs/how_to/read_the_pages.md", "docs/how_to/reproduce_a_paper.md"],
         ["docs/tokenizers.md"], ["docs/data.md"], ["docs/planner.md"], ["docs/gpu.md"], ["docs/README.md"], ["README.md"]]
SHORTER, LONGEST = 20, 4  # times: divided by, and seconds at most
TEXT_BYTES = 400_000
# what is not run here, and why
SKIPPED = [(r"^\./dev ", "sets up and builds the checkout"),
           (r"^export PATH=", "the program is found")]


def blocks(page):
    """(commands, what they print or None) of each block, in order."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.S | re.M)
    for number, (kind, body) in enumerate(fences):
        if kind != "sh":
            continue
        following = fences[number + 1] if number + 1 < len(fences) else ("", "")
        end = page.index(body) + len(body) + len("```\n")
        right_after = page[end:].lstrip("\n").startswith("```text")
        lines = body.replace("\\\n", " ").splitlines()
        yield [line for line in lines if line.strip()], following[1] if right_after else None


def files_of(page):
    """{name: text} of files that a page shows: a block of ```toml whose first line is "# NAME.toml"."""
    found = re.findall(r"^```toml\n(# (\S+\.toml)\b.*?)^```$", page, re.S | re.M)
    return {name: text for text, name in found}


def shortened(command):
    def less(match):
        seconds = int(match.group(1)) * {"s": 1, "m": 60, "h": 3600}[match.group(2)]
        return f"--max-time {max(1, min(LONGEST, seconds / SHORTER)):g}s"
    return re.sub(r"--max-time (\d+)([smh])\b", less, command)


def skeleton(line):
    """A line without its figures: two outputs of one command have the same."""
    line = re.sub(r"(?<![\w.])[-+]?\d[\d,.]*(e-?\d+)?(?:[kMG]\b|[smh]\b|[smh]\d+[smh]?\b)*( (KiB|MiB|GiB)\b)?", "#", line)
    return re.sub(r"\s+", " ", line).strip()


def is_printed(wanted, printed):
    pattern = ".*".join(re.escape(part) for part in skeleton(wanted).split("…"))
    return any(re.fullmatch(pattern, skeleton(line)) for line in printed.splitlines())


def corpus():
    """A text that every checkout has."""
    files = sorted(ROOT.glob("src/lithe/*/*.cpp"))
    return "".join(path.read_text() for path in files)[:TEXT_BYTES]


def task():
    """A table of lines that are comments, and of others."""
    lines = [line.strip() for line in corpus().splitlines() if len(line.strip()) > 20 and "\t" not in line and '"' not in line]
    return "text\tlabel\n" + "".join(f"{line}\t{'comment' if line.startswith('//') else 'code'}\n" for line in lines[:1500])


def make_folder(folder, lithe):
    (folder / "corpus.txt").write_text(corpus())
    (folder / "other.txt").write_text(corpus()[::-1])
    (folder / "task.tsv").write_text(task())
    (folder / "configs").symlink_to(ROOT / "configs")
    (folder / "build/release").mkdir(parents=True)
    (folder / "build/release/lithe").symlink_to(lithe)


def run(command, folder):
    path = f"{folder}/build/release:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=dict(os.environ, PATH=path), text=True,
                          errors="replace", timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


def check_page(name, folder):
    """The number of commands that ran, and what is wrong."""
    page, ran, faults = (ROOT / name).read_text(), 0, []
    for file, text in files_of(page).items():
        (folder / file).write_text(text)
    for commands, wanted in blocks(page):
        printed = ""
        for command in commands:
            if any(re.search(pattern, command) for pattern, _ in SKIPPED):
                continue
            code, output = run(shortened(command), folder)
            ran += 1
            printed += output
            if code != 0:
                faults.append(f"{name}: exit code {code} of: {command}\n{output}")
        faults += [f"{name}: not printed by {commands[0]}: {line}\nbut:\n{printed}" for line in (wanted or "").splitlines()
                   if line.strip() and not is_printed(line, printed)]
    return ran, faults


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    lithe, groups = pathlib.Path(sys.argv[1]).resolve(), [[page] for page in sys.argv[2:]] or PAGES
    ran, faults = 0, []
    for pages in groups:
        with tempfile.TemporaryDirectory() as name:
            make_folder(pathlib.Path(name), lithe)
            for page in pages:
                count, wrong = check_page(page, pathlib.Path(name))
                ran += count
                faults += wrong
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"docs: {ran} commands of {sum(map(len, groups))} pages, {len(faults)} faults")
    sys.exit(1 if faults or ran == 0 else 0)


if __name__ == "__main__":
    main()
