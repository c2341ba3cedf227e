#!/usr/bin/env python3
"""Files of at most 400 lines, functions of about 60; exceptions stand here with their reasons."""
import pathlib
import re
import sys

MAX_FILE, MAX_FUNCTION = 400, 75
EXCEPTIONS = {
    "src/lithe/kernels/sru/sru_cpu.cpp": "one pass is one formula over one block of columns",
    "src/lithe/spec/config_io.cpp": "one reader and one printer over the same visitor",
}

root = pathlib.Path(__file__).resolve().parent.parent
problems = []
for path in sorted((root / "src").rglob("*")):
    if path.suffix not in {".h", ".cpp", ".cu"}:
        continue
    name = str(path.relative_to(root))
    lines = path.read_text().splitlines()
    if len(lines) > MAX_FILE and name not in EXCEPTIONS:
        problems.append(f"{name}: {len(lines)} lines (limit {MAX_FILE})")
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z].*\)( const| override)* \{$", line) and not line.startswith(("namespace", "class", "struct")):
            start = number
        if line == "}" and start:
            if number - start > MAX_FUNCTION and name not in EXCEPTIONS:
                problems.append(f"{name}:{start}: function of {number - start} lines (limit {MAX_FUNCTION})")
            start = None
print("\n".join(problems) if problems else "sizes: ok")
sys.exit(bool(problems))
