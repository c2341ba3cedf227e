#!/usr/bin/env python3
"""One statement a line: refuses chains by commas, as `a = 1, b = 2;`. Lists them with file and line.

Declarations of several names, the heads of loops and what stands in parentheses are left alone.
"""
import pathlib
import re
import subprocess
import sys

from check_sizes import blanked

ROOT = pathlib.Path(__file__).resolve().parent.parent
# what a statement hangs on
HEAD = re.compile(r"\s*(?:else\b|do\b|(?:case\b(?:[^:]|::)*|default\s*):(?!:)|(?:if(?:\s+constexpr)?|for|while|switch)\s*(?=\())")
ASSIGNMENT = re.compile(r"\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)")
BEHIND_A_HEAD = re.compile(r"(?:\)|\b(?:const|override|noexcept|else|do))\s*$")


def closing(code, at):
    """Behind the bracket that closes the one at `at`, or None."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0:
            return i + 1
    return None


def parts_of(code):
    """What stands between the commas that no bracket holds."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(code):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append(code[start:i])
            start = i + 1
    return parts + [code[start:]]


def is_expression(part):
    """Whether it is an assignment, an increment or a call, and no declaration: its left side is one name."""
    flat, depth = "", 0
    for c in part.strip():
        depth += c in "([{"
        flat += c if depth == 0 else "" if c.isspace() else "_"
        depth -= c in ")]}"
    if re.fullmatch(r"(?:\+\+|--)[\w.:>*-]+|[\w.:>*-]+(?:\+\+|--)", flat):
        return True
    left = re.match(r"[*&]*\w[\w.:]*(?:->[\w.:]*)*", flat)
    if left and ASSIGNMENT.match(flat, left.end()):
        return True
    return part.strip().endswith(")") and re.fullmatch(r"[\w.:>-]+", flat) is not None


def block_ends(code):
    """{place of `{`: place of its `}`} of the braces that hold statements; those of values are left out."""
    ends, stack = {}, []
    for i, c in enumerate(code):
        if c in "([{":
            stack.append([i, False])
        elif c in ")]}" and stack:
            begin, has_statement = stack.pop()
            empty = not code[begin + 1:i].strip() and BEHIND_A_HEAD.search(code[max(0, begin - 20):begin])
            if c == "}" and (has_statement or empty):
                ends[begin] = i
                if stack and code[stack[-1][0]] == "{":
                    stack[-1][1] = True
        elif c == ";" and stack:
            stack[-1][1] = True
    return ends


def statements(code):
    """(begin, end) of each text that ends with a semicolon and begins behind the last semicolon or block."""
    blocks = block_ends(code)
    ends = set(blocks.values())
    start, depth, outer = 0, 0, []
    for i, c in enumerate(code):
        if i in blocks:
            outer.append((start, depth))
            start, depth = i + 1, 0
        elif i in ends:
            start, depth = outer.pop()
            if depth == 0:
                start = i + 1
        elif c == ";" and depth == 0:
            yield start, i
            start = i + 1
        else:
            depth += (c in "([{") - (c in ")]}")


def behind_heads(code, begin, end):
    """Where the statement begins behind `if (…)`, `else`, `for (…)` and the like."""
    while head := HEAD.match(code, begin, end):
        begin = head.end()
        if code[begin:begin + 1] == "(":
            begin = closing(code, begin) or end
    return begin


def chains(text):
    """(line, statements) of each chain."""
    code = blanked(text)
    for begin, end in statements(code):
        begin = behind_heads(code, begin, end)
        parts = parts_of(code[begin:end])
        if len(parts) > 1 and all(map(is_expression, parts)):
            begin += len(parts[0]) - len(parts[0].lstrip())
            yield code.count("\n", 0, begin) + 1, len(parts)


def main():
    listed = subprocess.run(["git", "ls-files", "-z", "*.h", "*.cpp", "*.cu"], cwd=ROOT, capture_output=True, check=True,
                            text=True).stdout
    files = [ROOT / name for name in filter(None, listed.split("\0")) if (ROOT / name).exists()]
    found = [f"{file.relative_to(ROOT)}:{line}: {count} statements in a chain of commas; one statement a line"
             for file in files for line, count in chains(file.read_text())]
    print("\n".join(found) if found else "statements: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
