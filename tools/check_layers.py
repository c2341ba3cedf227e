#!/usr/bin/env python3
"""Fails when a folder of src/lithe includes one that does not stand to its left (ARCHITECTURE.md), or when torch leaks."""
import pathlib
import re
import sys

# folder: the folders that it may include, itself aside
LAYERS = {
    "base": "",
    "spec": "base",
    "formats": "base spec",
    "tokenize": "base",
    "kernels": "base",
    "data": "base spec formats tokenize",
    "report": "base spec formats",
    "ops": "base kernels",
    "nn": "base kernels ops",
    "blocks": "base spec kernels ops nn",
    "model": "base spec formats tokenize data kernels ops nn blocks",
    "objectives": "base spec formats tokenize data kernels ops nn blocks model",
    "train": "base spec formats tokenize data kernels ops nn blocks model objectives report",
    "plan": "base spec formats tokenize data kernels ops nn blocks model objectives train",
    "search": "base spec formats tokenize data kernels ops nn blocks model objectives train report",
    "cli": "base spec formats tokenize data kernels ops nn blocks model objectives train plan search report",
}
TORCH_FREE = {"base", "spec", "formats", "tokenize", "kernels", "data", "report"}

# names of an earlier frame that must not come back, and what stands in their place
GONE = {"Context": "Pass, Place and Call (blocks/pass.h)", "Segment": "Batch (data/batch.h)", "TrainStep": "StepRunner (train/step_runner.h)"}

root = pathlib.Path(__file__).resolve().parent.parent / "src" / "lithe"
problems = []
for path in sorted(root.rglob("*")):
    if path.suffix not in {".h", ".cpp", ".cu"}:
        continue
    folder = path.relative_to(root).parts[0]
    if folder not in LAYERS:
        problems.append(f"{path.relative_to(root)}: folder '{folder}' is not in the list of layers")
        continue
    allowed = set(LAYERS[folder].split()) | {folder}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if re.search(r"\b[Jj]son::parse\(", line):
            problems.append(f"src/lithe/{path.relative_to(root)}:{number}: JSON from outside is read by base/json.h alone")
        code = line.split("//")[0]
        for name, instead in GONE.items():
            if re.search(rf"\b{name}\b(?!\.h)", code):
                problems.append(f"src/lithe/{path.relative_to(root)}:{number}: {name} is gone: {instead}")
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not found:
            continue
        include = found.group(1)
        where = f"src/lithe/{path.relative_to(root)}:{number}"
        if include.startswith("lithe/") and include.split("/")[1] not in allowed:
            problems.append(f"{where}: {folder}/ may not include {include}")
        if folder in TORCH_FREE and re.match(r"(ATen|torch|c10)/", include):
            problems.append(f"{where}: {folder}/ is torch-free")
print("\n".join(problems) if problems else "layers: ok")
sys.exit(bool(problems))
