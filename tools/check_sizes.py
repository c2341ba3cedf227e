#!/usr/bin/env python3
"""C++ files of at most 400 lines, functions of about 60 (at most 75): free ones, methods, tests and lambdas of tables alike.

Exceptions stand here with their reasons; one that is not needed any more is a fault too.
"""
import pathlib
import re
import sys

MAX_FILE, MAX_FUNCTION = 400, 75
EXCEPTIONS = {  # a file, or file:function
}

LITERALS = re.compile(
    r'//(?:\\\n|[^\n])*|/\*.*?\*/'                               # comments
    r'|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'             # raw strings
    r'|"(?:\\.|[^"\\\n])*"'                                      # strings
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"                      # characters, but not the marks in 1'000
    r'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)                    # the preprocessor's lines
BEGIN, END = "\x01", "\x02"  # around what stands in an #else
QUALIFIERS = r"(?:\s*(?:const|volatile|noexcept|override|final|mutable|try|&&?|->[^{};=]*|requires\b[^{};=]*))*\s*$"


def blanked(text):
    """The text without comments, literals, preprocessor lines and what stands in their #else; every line keeps its number."""
    branches = []  # of the open #if: whether it is in an #else

    def blank(found):
        word, kept = found.group().strip(), "\n" * found.group().count("\n")
        directive = re.match(r"#\s*(if|el|endif)", word)
        if directive and directive[1] == "if":
            branches.append(False)
        elif directive and branches:
            if directive[1] == "endif":
                return (END if branches.pop() else "") + kept
            first, branches[-1] = not branches[-1], True
            return (BEGIN if first else "") + kept
        return f'""{kept}' if word.lstrip("R")[0] in "\"'" else kept
    plain = LITERALS.sub(blank, text)
    while True:  # innermost first
        shorter = re.sub(f"{BEGIN}[^{BEGIN}{END}]*{END}", lambda found: "\n" * found.group().count("\n"), plain)
        if shorter == plain:
            return plain
        plain = shorter


def without(pattern_open, pattern_close, text):
    """The text without what stands between these two characters, however deep."""
    kept, depth = [], 0
    for each in text:
        if each == pattern_close and depth:
            depth -= 1
        if not depth or (each == pattern_open and depth == 0):
            kept.append(each)
        if each == pattern_open:
            depth += 1
    return "".join(kept)


def since_open(head):
    """What stands after the last parenthesis that is still open."""
    depth = 0
    for at in range(len(head) - 1, -1, -1):
        depth += (head[at] == ")") - (head[at] == "(")
        if depth < 0:
            return head[at + 1:]
    return head


def kind_of(head):
    """What a brace opens outside of functions: "scope", "function" or "values", by the text before it."""
    head = since_open(head).strip()
    while head.startswith("template"):
        head = re.sub(r"^template\s*<>", "", without("<", ">", head), count=1).strip()
    flat = without("(", ")", head)
    if re.match(r"(inline\s+)?namespace\b|extern\s*\"\"\s*$", flat):
        return "scope"
    if re.match(r"(typedef\s+|static\s+|const\s+)*(class|struct|union|enum)\b", flat) and not re.search(r"\)" + QUALIFIERS, flat):
        return "scope"
    if re.search(r"(^|[^\w\])\s])\s*\[[^\]]*\]\s*$", flat) or re.search(r"\breturn\s*\[[^\]]*\]\s*$", flat):
        return "function"  # a lambda without parameters
    if re.search(r"\)" + QUALIFIERS, flat):
        return "function"
    if re.search(r"\)\s*(noexcept\s*)?:[^:].*\}\s*$", flat, re.S):
        return "function"  # a constructor whose last member is initialised in braces
    return "values"


def name_of(head):
    """Function's name: `Suite.Name` of a test, the variable's of a lambda."""
    head = since_open(head)
    test = re.search(r"\bTEST(?:_[FP])?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)\s*$", head)
    if test:
        return f"{test[1]}.{test[2]}"
    operator = re.search(r"((?:\w+::)*operator\s*(?:\(\s*\)|[^\s(]+))\s*\(", head)
    if operator:
        return operator[1]
    flat = without("(", ")", without("<", ">", head))
    bound = re.search(r"([\w:]+)\s*=\s*\[", flat)
    called = re.search(r"(?<![\w:~])(?!__|alignas\b|explicit\b|decltype\b)([\w:~]+)\s*\(", flat)
    return bound[1] if bound else called[1] if called else "lambda"


def functions(text):
    """Every function that stands in no other one: (name, first line of its signature, line of its closing brace)."""
    text = blanked(text)
    found, stack = [], []  # of the open braces: kind, name, first line, the head before it
    head, head_line, line = "", None, 1
    inside = 0             # braces open since a function began
    parentheses = []       # heads that wait for a parenthesis to close
    for each in text:
        if each == "\n":
            line += 1
        if inside:
            inside += (each == "{") - (each == "}")
            if inside == 0:
                name, first, resumed = stack.pop()
                found.append((name, first, line))
                head, head_line = resumed, None if not resumed.strip() else first
            continue
        if each == "{":
            kind = kind_of(head)
            if kind == "function":
                # within parentheses or values the text goes on after a lambda
                resumed = head + "{}" if parentheses or (stack and stack[-1][0] == "values") else ""
                stack.append((name_of(head), head_line or line, resumed))
                inside = 1
            else:
                stack.append((kind, head, head_line or line))
                head, head_line = "", None
            continue
        if each == "}":
            kind, before, first = stack.pop() if stack else ("scope", "", line)
            head, head_line = (before + "{}", first) if kind == "values" else ("", None)
            continue
        if each == ";" and not parentheses:
            head, head_line = "", None
            continue
        if each == "," and stack and stack[-1][0] == "values" and not parentheses:
            head, head_line = "", None
            continue
        if each == "(":
            parentheses.append(len(stack))
        if each == ")" and parentheses:
            parentheses.pop()
        if head_line is None and not each.isspace():
            head_line = line
        head += each
        if re.fullmatch(r"\s*(public|private|protected)\s*:", head):
            head, head_line = "", None
    if stack:
        raise ValueError(f"a brace is never closed, the last one of line {stack[-1][1] if inside else stack[-1][2]}")
    return found


def problems_of(name, text):
    lines = text.count("\n")
    if lines > MAX_FILE:
        yield name, f"{name}: {lines} lines (limit {MAX_FILE})"
    try:
        found = functions(text)
    except ValueError as error:
        yield f"{name}:", f"{name}: {error}"
        return
    for function, first, last in found:
        if last - first > MAX_FUNCTION:
            yield f"{name}:{function}", f"{name}:{first}: {function} has {last - first} lines (limit {MAX_FUNCTION})"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    problems, met = [], set()
    for folder in ("src", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in {".h", ".cpp", ".cu"}:
                continue
            for key, told in problems_of(str(path.relative_to(root)), path.read_text()):
                met.add(key)
                if key not in EXCEPTIONS:
                    problems.append(told)
    problems += [f"tools/check_sizes.py: the exception {key} is not needed any more" for key in EXCEPTIONS if key not in met]
    print("\n".join(problems) if problems else "sizes: ok")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
