#!/usr/bin/env python3
"""Counts the skipped tests of a run and fails where one is not on the list of tests/skips.toml.

    tools/check_skips.py RESULTS_FOLDER [NAME...]

Reads what the test programs wrote with --gtest_output=xml. Each NAME must be there: a program that left no NAME.xml did not
end. A disabled test counts as skipped.
"""
import fnmatch
import pathlib
import re
import sys
import tomllib
import xml.etree.ElementTree

LIST = pathlib.Path(__file__).resolve().parent.parent / "tests" / "skips.toml"


def read_list(text):
    listed = tomllib.loads(text).get("skip", [])
    for entry in listed:
        if set(entry) != {"tests", "says", "reason"} or not all(entry.values()):
            raise SystemExit(f"{LIST.name}: every [[skip]] has tests, says and reason, but one has {entry}")
    return listed


def read_results(text):
    """(number of tests, [(name, what it said)] of the skipped ones) of a gtest report."""
    cases = list(xml.etree.ElementTree.fromstring(text).iter("testcase"))
    skipped = []
    for case in cases:
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.get("status") == "notrun":
            skipped.append((name, "disabled"))
            continue
        said = case.find("skipped")
        if said is None and case.get("result") != "skipped":
            continue
        lines = ("" if said is None else said.get("message") or said.text or "").splitlines()
        skipped.append((name, " ".join(line.strip() for line in lines if not re.fullmatch(r".*:\d+", line)).strip()))  # but for the place
    return len(cases), skipped


def sort_out(skipped, listed):
    """(skipped tests of each entry of the list, those of none)."""
    met, unlisted = [[] for _ in listed], []
    for name, said in skipped:
        fitting = [i for i, entry in enumerate(listed) if fnmatch.fnmatchcase(name, entry["tests"]) and entry["says"] in said]
        (met[fitting[0]] if fitting else unlisted).append((name, said))
    return met, unlisted


def main(folder, names):
    listed = read_list(LIST.read_text())
    tests, skipped, problems = 0, [], []
    for path in sorted(folder.glob("*.xml")):
        try:
            count, found = read_results(path.read_text(errors="replace"))
        except xml.etree.ElementTree.ParseError as error:
            problems.append(f"{path} is not whole ({error}): did its test program crash?")
            continue
        tests, skipped = tests + count, skipped + found
    problems += [f"{folder}/{name}.xml is missing: did its test program crash?" for name in names
                 if not (folder / f"{name}.xml").exists()]
    met, unlisted = sort_out(skipped, listed)
    print(f"skipped: {len(skipped)} of {tests} tests")
    for entry, cases in zip(listed, met):
        if cases:
            print(f"  {len(cases):4}  {entry['tests']}  ({entry['says']}): {entry['reason']}")
    problems += [f"{name} is skipped ({said or 'without a word'}) and not on the list of tests/skips.toml" for name, said in unlisted]
    for problem in problems:
        print(f"  not allowed: {problem}")
    return bool(problems)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2:]))
