"""Tests of the command lines of the scripts: their help, and the examples in it."""

import os
import re
import subprocess
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
OPTIONS = (SCRIPTS.parent / "docs" / "reference.md").read_text()


def programs():
    """The scripts that are commands. test_browser.py has the tests of one that needs node."""
    files = (path for path in SCRIPTS.iterdir() if path.is_file() and path.name != "browser-test")
    return sorted(path for path in files if os.access(path, os.X_OK))


def run(script, *arguments):
    """Runs a script in a terminal that is so wide that argparse does not wrap an example."""
    return subprocess.run(
        [script, *arguments], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


class Help(unittest.TestCase):
    def test_each_script_explains_its_arguments_and_its_exit_status(self):
        self.assertGreaterEqual(len(programs()), 5)
        for script in programs():
            for option in ("-h", "--help"):
                done = run(script, option)
                self.assertEqual((done.returncode, done.stderr), (0, ""), script)
                self.assertRegex(done.stdout.lower(), r"\Ausage: ", script)
                # argparse keeps the line breaks of a description.
                self.assertRegex(done.stdout, r"Exit\s+status: 0 = ", script)

    def test_a_wrong_argument_is_named_with_status_2(self):
        for script in programs():
            done = run(script, "--nonsense")
            self.assertEqual((done.returncode, done.stdout), (2, ""), script)
            self.assertIn(script.name, done.stderr)

    def test_the_tenkay_option_in_the_example_exists(self):
        (example,) = re.findall(r"--tenkay-arg=(--[a-z-]+)", run(SCRIPTS / "compare", "-h").stdout)
        self.assertRegex(OPTIONS, rf"{example}\b")


if __name__ == "__main__":
    unittest.main()
