"""Tests of the examples in the help of the scripts."""

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
OPTIONS = (SCRIPTS.parent / "README.md").read_text()


class Examples(unittest.TestCase):
    def test_the_tenkay_option_in_each_example_exists(self):
        for script in ("compare", "c10k"):
            done = subprocess.run(
                [sys.executable, SCRIPTS / script, "--help"], capture_output=True, text=True,
                env={**os.environ, "COLUMNS": "200"},  # so that argparse does not wrap the example
                check=True,
            )
            (example,) = re.findall(r"--tenkay-arg=(--[a-z-]+)", done.stdout)
            self.assertRegex(OPTIONS, rf"{example}\b", script)


if __name__ == "__main__":
    unittest.main()
