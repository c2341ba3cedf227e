#!/usr/bin/env python3
"""The report of skipped tests, on what GoogleTest writes."""
import contextlib
import io
import pathlib
import tempfile
import unittest

import check_skips

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="0" disabled="1" errors="0" name="AllTests">
  <testsuite name="A" tests="4" failures="0" disabled="1" skipped="2" errors="0">
    <testcase name="Runs" status="run" result="completed" time="0.1" classname="A" />
    <testcase name="Away/srupp" status="run" result="skipped" time="0" classname="All/A">
      <skipped message="a.cpp:7&#x0A;no GPU here&#x0A;"><![CDATA[a.cpp:7
no GPU here
]]></skipped>
    </testcase>
    <testcase name="Silent" status="run" result="skipped" time="0" classname="A">
      <skipped message="a.cpp:9&#x0A;"><![CDATA[a.cpp:9
]]></skipped>
    </testcase>
    <testcase name="DISABLED_Off" status="notrun" result="suppressed" time="0" classname="A" />
  </testsuite>
</testsuites>
"""
LISTED = [{"tests": "All/A.*", "says": "no GPU", "reason": "r"}]


class Skips(unittest.TestCase):
    def test_skipped_silent_and_disabled_tests_are_found(self):
        self.assertEqual(check_skips.read_results(REPORT),
                         (4, [("All/A.Away/srupp", "no GPU here"), ("A.Silent", ""), ("A.DISABLED_Off", "disabled")]))

    def test_name_and_words_must_both_be_on_the_list(self):
        met, unlisted = check_skips.sort_out([("All/A.Away/x", "no GPU here"), ("All/A.Away/y", "lazy"), ("B.b", "no GPU")], LISTED)
        self.assertEqual(met, [[("All/A.Away/x", "no GPU here")]])
        self.assertEqual(unlisted, [("All/A.Away/y", "lazy"), ("B.b", "no GPU")])

    def run_main(self, files, names):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
            for name, text in files.items():
                (pathlib.Path(folder) / name).write_text(text)
            return check_skips.main(pathlib.Path(folder), names), out.getvalue()

    def test_unlisted_missing_and_broken_reports_fail(self):
        failed, out = self.run_main({"a.xml": REPORT}, ["a"])
        self.assertTrue(failed)
        self.assertIn("skipped: 3 of 4 tests", out)
        self.assertIn("A.Silent is skipped (without a word) and not on the list", out)
        self.assertTrue(self.run_main({}, ["a"])[0])
        self.assertTrue(self.run_main({"a.xml": REPORT[:200]}, ["a"])[0])
        self.assertFalse(self.run_main({"a.xml": '<testsuites><testcase name="a" classname="b" status="run"/></testsuites>'}, ["a"])[0])

    def test_the_list_is_well_formed(self):
        self.assertTrue(check_skips.read_list(check_skips.LIST.read_text()))


if __name__ == "__main__":
    unittest.main()
