#!/usr/bin/env python3
"""Fails when a folder of src/lithe includes one that does not stand to its left (ARCHITECTURE.md), when torch leaks, or when what
belongs to the program alone (flags, exit codes, a stop of the process) stands in the library."""
import pathlib
import re
import sys

BELOW = "base spec formats tokenize data score kernels ops nn blocks model infer objectives"  # the trainer
# folder: the folders that it may include, itself aside
LAYERS = {
    "base": "",
    "spec": "base",
    "formats": "base spec",
    "tokenize": "base",
    "kernels": "base",
    "data": "base spec formats tokenize",
    "report": "base spec formats",
    "score": "base",
    "ops": "base kernels",
    "nn": "base kernels ops",
    "blocks": "base spec kernels ops nn",
    "model": "base spec formats tokenize data kernels ops nn blocks",
    "infer": "base spec tokenize kernels ops nn blocks model",
    "objectives": "base spec formats tokenize data score kernels ops nn blocks model infer",
    "inspect": BELOW + " report",
    "train": BELOW + " report",
    "plan": BELOW + " train",
    "search": BELOW + " train report",
    "api": BELOW + " train plan search report",
    "cli": BELOW + " inspect train plan search report",
}
TORCH_FREE = {"base", "spec", "formats", "tokenize", "kernels", "data", "report", "score", "include"}
PUBLIC = {"error.h", "export.h"}  # of include/lithe, for every folder; the others are declared for api/

# names of an earlier frame that must not come back, and what stands in their place
GONE = {"Context": "Pass, Place and Call (blocks/pass.h)", "Segment": "Batch (data/batch.h)", "TrainStep": "StepRunner (train/step_runner.h)"}
# what the program alone may say, and what the library has instead
PROGRAM = {
    r"\b(_exit|std::exit|std::abort|sigaction|std::signal)\b": "signals and the process's end are the program's",
    r"\bExitCode\b": "ExitCode is the program's: ErrorKind (lithe/error.h)",
    r"(?<![.\w])(?<!->)stop_requested\b": "a stop is asked for by a std::stop_token of the call's options",
}
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
FLAG = re.compile(r"(?<![\w-])(?<!var\()--[a-z]")  # var(--name) is a page's
DEV = re.compile(r"\./dev [\w -]*")                # of the checkout, not of the program


def may_include(folder, include):
    """Whether a file of this folder may include "lithe/..."."""
    below = include.split("/")[1:]
    if len(below) == 1:
        return below[0] in PUBLIC or folder in {"api", "include"}
    return below[0] in set(LAYERS.get(folder, "").split()) | {folder}


def faults_of(folder, line):
    """What is wrong with a line of a file in this folder ("include": of the public headers)."""
    if re.search(r"\b[Jj]son::parse\(", line):
        yield "JSON from outside is read by base/json.h alone"
    code = line.split("//")[0]
    for name, instead in GONE.items():
        if re.search(rf"\b{name}\b(?!\.h)", code):
            yield f"{name} is gone: {instead}"
    if folder != "infer" and re.search(r"\bStepModel\b|infer/step_model\.h", code):
        yield "StepModel is infer's own: others use its sessions"
    if folder != "cli":
        for pattern, instead in PROGRAM.items():
            if re.search(pattern, code):
                yield instead
        if any(FLAG.search(DEV.sub("", text)) for text in STRING.findall(line)):
            yield "a flag of the program: texts of the library name options by base/wording.h"
    found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
    if not found:
        return
    include = found.group(1)
    if include.startswith("lithe/") and not may_include(folder, include):
        yield f"{folder}/ may not include {include}"
    if folder in TORCH_FREE and re.match(r"(ATen|torch|c10)/", include):
        yield f"{folder}/ is torch-free"


def files_of(root):
    """Every file with its folder's name."""
    for path in sorted((root / "src/lithe").rglob("*")):
        if path.suffix in {".h", ".cpp", ".cu"}:
            yield path.relative_to(root / "src/lithe").parts[0], path
    for path in sorted((root / "include").rglob("*.h")):
        yield "include", path


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    problems = []
    for folder, path in files_of(root):
        where = path.relative_to(root)
        if folder != "include" and folder not in LAYERS:
            problems.append(f"{where}: folder '{folder}' is not in the list of layers")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            problems += [f"{where}:{number}: {fault}" for fault in faults_of(folder, line)]
    print("\n".join(problems) if problems else "layers: ok")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
