"""The tables of results in bench/runs: tab-separated, one header line, one line a run. bench/runs/README.md lists the columns."""
import csv
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent / "runs"


def read(path):
    """The rows of a table, each a dict of texts; a cell that does not apply is empty. A table that is not there has no rows."""
    if not pathlib.Path(path).exists():
        return []
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise SystemExit(f"{path}:{number}: not as many cells as the header has")
    return rows


def append(path, row):
    """Adds a row, with the header if the table is new. None is an empty cell."""
    def cell(value):
        text = "" if value is None else str(value)
        if any(c in text for c in "\t\r\n"):
            raise SystemExit(f"{path}: a cell cannot hold {text!r}")
        return text

    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "\t".join(row)
    with open(path, "a+", newline="") as file:
        file.seek(0)
        found = file.readline().rstrip("\n")
        if found and found != header:
            raise SystemExit(f"{path} has other columns:\n  {found}\nexpected\n  {header}")
        file.write(("" if found else header + "\n") + "\t".join(cell(value) for value in row.values()) + "\n")


def curve_cell(points):
    """Points of a curve as one cell: numbers of a point between colons, points between spaces."""
    return " ".join(":".join(f"{value:g}" if isinstance(value, float) else str(value) for value in point) for point in points)


def curve_points(cell):
    return [[float(value) for value in point.split(":")] for point in cell.split()]
