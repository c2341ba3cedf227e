#!/usr/bin/env python3
"""side_by_side.py tells what a program says when it fails, goes on with the others, and ends with an error."""
import contextlib
import io
import pathlib
import stat
import sys
import tempfile
import unittest

import side_by_side

LITHE = """import json, sys
row = sys.argv[sys.argv.index("--only") + 1]
if row == "sru":
    sys.exit("lithe: not enough memory")
print(json.dumps({"results": [{"name": row, "tokens_per_second": 1000.0, "milliseconds": 5.0, "of_ceiling": 0.5, "peak_rss_bytes": 1 << 28}],
                  "machine": {"peak_gflops": {"bf16": 1.0}}}))
"""
PEERS = """import sys
if "srupp-small-pkg" in sys.argv:
    sys.exit("No module named sru")
print("nonsense" if "lstm" in sys.argv else "x eager 12.5 ms (12 - 13) 500 tokens/s 4 GF/s peak 90 MiB")
"""


class SideBySide(unittest.TestCase):
    def run_main(self, only):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"build/release/lithe": LITHE, "python": PEERS}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"#!{sys.executable}\n{text}")
                path.chmod(path.stat().st_mode | stat.S_IXUSR)
            (root / "bench/peers").mkdir(parents=True)
            side_by_side.ROOT, before, sys.argv = root, sys.argv, ["x", "--python", str(root / "python"), "--only", only]
            try:
                with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
                    side_by_side.main()
                code = None
            except SystemExit as end:
                code = end.code
            finally:
                sys.argv = before
        return code, out.getvalue(), err.getvalue()

    def test_all_well(self):
        code, out, err = self.run_main("gpt-small")
        self.assertEqual((code, err), (None, ""))
        self.assertIn("| gpt-small | 5 | 1,000 | 50% | 256 | gpt-small-plain eager | 12 | 500 | 90 | 2.00 |", out)

    def test_a_peer_that_fails_is_quoted_and_the_others_go_on(self):
        code, out, err = self.run_main("sru")
        self.assertIn("No module named sru", err)
        self.assertIn("lithe: not enough memory", err)
        self.assertIn("| srupp-small | 5 | 1,000 | 50% | 256 | srupp-small-pkg eager | failed | failed | failed |  |", out)
        self.assertIn("| srupp-42m | 5 |", out)
        self.assertEqual(code, "failed: peer srupp-small-pkg eager, lithe sru; what they said stands above")

    def test_what_is_no_measurement_is_quoted(self):
        code, _, err = self.run_main("lstm")
        self.assertIn("nonsense", err)
        self.assertIn("peer lstm eager", code)


if __name__ == "__main__":
    unittest.main()
