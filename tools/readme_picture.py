#!/usr/bin/env python3
"""Draws docs/bits_per_byte.svg, the picture of README.md, from the first table of docs/results.md.

    tools/readme_picture.py            writes it
    tools/readme_picture.py --check    exit code 1 where the file is another
"""
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/bits_per_byte.svg"
SECONDS = {"s": 1, "m": 60}
LEFT, RIGHT, TOP, BOTTOM = 60, 690, 30, 270
LEAST, MOST = 1.4, 3.1  # bits per byte
FIRST, LAST = 40, 900  # seconds

# of both a light and a dark page: text takes the page's colour
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a }
.name { fill: #0969da; font-weight: 600 }
.grid { stroke: #8c959f; stroke-opacity: .3 }
.peer { stroke: #bc4c00; stroke-dasharray: 5 4 }
.peers { fill: #bc4c00 }
.lithe { stroke: #0969da; stroke-width: 2.5; fill: none }
.dot { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .name { fill: #4493f8 } .peers { fill: #f0883e }
  .peer { stroke: #f0883e } .lithe { stroke: #4493f8 } .dot { fill: #4493f8 }
}
"""


def rows():
    """(who, what it has seen, bits) of the table."""
    text = (ROOT / "docs/results.md").read_text()
    table = text[text.index("| who |"):].split("\n\n")[0].splitlines()[2:]
    for line in table:
        who, seen, bits = (cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        yield who, seen, float(bits)


def x(seconds):
    share = math.log(seconds / FIRST) / math.log(LAST / FIRST)
    return LEFT + share * (RIGHT - LEFT)


def y(bits):
    return BOTTOM - (bits - LEAST) / (MOST - LEAST) * (BOTTOM - TOP)


def text(at_x, at_y, words, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    return f'<text{kind} x="{at_x:.0f}" y="{at_y:.0f}" text-anchor="{anchor}">{words}</text>'


def grid():
    for bits in (1.5, 2.0, 2.5, 3.0):
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(bits):.0f}" y2="{y(bits):.0f}"/>'
        yield text(LEFT - 8, y(bits) + 4, bits, anchor="end")
    for minutes in (1, 3, 10):
        yield text(x(60 * minutes), BOTTOM + 20, f"{minutes} min", anchor="middle")
    yield text((LEFT + RIGHT) / 2, BOTTOM + 40, "time of training on two CPU cores", anchor="middle")
    yield text(LEFT - 48, TOP - 12, "bits per byte of unseen text, less is better")


def picture():
    lines, dots = [], []
    for who, seen, bits in rows():
        if who.startswith(("gzip", "xz")):
            lines.append(f'<line class="peer" x1="{LEFT}" x2="{RIGHT}" y1="{y(bits):.0f}" y2="{y(bits):.0f}"/>')
            lines.append(text(RIGHT, y(bits) + 16, f"{who}: {bits:.2f}", "peers", "end"))
        elif who == "PPMd, order 12":
            seconds = int(re.search(r"in (\d+) s", seen).group(1))
            lines.append(f'<circle class="peers" cx="{x(seconds):.0f}" cy="{y(bits):.0f}" r="4"/>')
            lines.append(text(x(seconds) - 4, y(bits) + 20, f"PPMd: {bits:.2f}", "peers", "middle"))
        elif who.startswith("Lithe"):
            amount, unit = re.search(r"(\d+)([sm])$", who).groups()
            dots.append((x(int(amount) * SECONDS[unit]), y(bits), bits))
    path = " ".join(f"{px:.0f},{py:.0f}" for px, py, _ in dots)
    lines.append(f'<polyline class="lithe" points="{path}"/>')
    for px, py, bits in dots:
        lines.append(f'<circle class="dot" cx="{px:.0f}" cy="{py:.0f}" r="4.5"/>')
        lines.append(text(px, py - 12, f"{bits:.2f}", "name", "middle"))
    lines.append(text(dots[-1][0] + 14, dots[-1][1] + 5, "Lithe", "name"))
    body = "\n".join([*grid(), *lines])
    title = "Bits per byte of Lithe after 1, 3 and 10 minutes of training, beside compressors"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 320" role="img"><title>{title}</title>\n'
            f"<style>{STYLE}</style>\n{body}\n</svg>\n")


def main():
    drawn = picture()
    if sys.argv[1:] == ["--check"]:
        if not PICTURE.exists() or PICTURE.read_text() != drawn:
            sys.exit(f"{PICTURE.relative_to(ROOT)} is not what the table says: run tools/readme_picture.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PICTURE.write_text(drawn)


if __name__ == "__main__":
    main()
