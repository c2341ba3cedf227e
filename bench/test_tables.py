#!/usr/bin/env python3
"""tables.py reads what it has written, refuses what is damaged, and the tables of the repository are whole."""
import pathlib
import tempfile
import unittest

import tables


class Tables(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name, "new", "runs.tsv")

    def test_rows_come_back_as_they_were_added(self):
        self.assertEqual(tables.read(self.path), [])
        tables.append(self.path, {"name": 'a "b"', "bits": 1.5370366789, "tokens": 93888512, "low": None})
        tables.append(self.path, {"name": "c", "bits": 2.0, "tokens": 1, "low": 1.25})
        self.assertEqual(tables.read(self.path), [{"name": 'a "b"', "bits": "1.5370366789", "tokens": "93888512", "low": ""},
                                                  {"name": "c", "bits": "2.0", "tokens": "1", "low": "1.25"}])

    def test_other_columns_and_torn_lines_are_refused(self):
        tables.append(self.path, {"name": "a", "bits": 1.0})
        with self.assertRaises(SystemExit):
            tables.append(self.path, {"name": "a", "tokens": 1})
        with self.assertRaises(SystemExit):
            tables.append(self.path, {"name": "a\tb", "bits": 1.0})
        self.path.write_text(self.path.read_text() + "b\n")
        with self.assertRaises(SystemExit):
            tables.read(self.path)

    def test_curves(self):
        points = [[186368, 2.32589], [372736, 2.173]]
        self.assertEqual(tables.curve_cell(points), "186368:2.32589 372736:2.173")
        self.assertEqual(tables.curve_points(tables.curve_cell(points)), points)

    def test_the_tables_of_the_repository_are_whole(self):
        for path in sorted(tables.FOLDER.glob("*.tsv")):
            rows = tables.read(path)
            names = [row.get("name") for row in rows if "name" in row]
            self.assertTrue(rows, path)
            self.assertEqual(len(names), len(set(names)), path)


if __name__ == "__main__":
    unittest.main()
