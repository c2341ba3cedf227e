#!/usr/bin/env python3
"""Lines of documents have at most 120 characters; rows of tables, which cannot be broken, are left alone."""
import pathlib
import sys

MAX_LINE = 120

root = pathlib.Path(__file__).resolve().parent.parent
problems = [f"{path.relative_to(root)}:{number}: {len(line)} characters (limit {MAX_LINE})"
            for path in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("bench/**/*.md")])
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if len(line) > MAX_LINE and not line.lstrip().startswith("|")]
print("\n".join(problems) if problems else "documents: ok")
sys.exit(bool(problems))
