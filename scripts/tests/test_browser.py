"""Tests of the command line of the browser test, and of the versions of its packages."""

import json
import shutil
import subprocess
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
LIBRARY = SCRIPTS / "lib_browser"


@unittest.skipUnless(shutil.which("node"), "node is not installed")
class CommandLine(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run(
            ["node", SCRIPTS / "browser-test", *arguments], capture_output=True, text=True,
        )

    def test_the_help_names_each_option_and_needs_no_package(self):
        done = self.run_script("--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        for option in ("--tenkay", "--chromium", "--screenshots", "--only"):
            self.assertIn(f"  {option} ", done.stdout)

    def test_wrong_arguments_are_named_with_status_2(self):
        for arguments, message in (
            (["--nonsense"], "unknown argument '--nonsense' (see --help)"),
            (["word"], "unknown argument 'word' (see --help)"),
            (["--tenkay"], "--tenkay needs a value (see --help)"),
            (["--only="], "--only needs a value (see --help)"),
            (["--chromium", "/nowhere/chromium"], "cannot find the program /nowhere/chromium"),
        ):
            done = self.run_script(*arguments)
            self.assertEqual(done.stderr, f"browser-test: {message}\n")
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)


class Packages(unittest.TestCase):
    def test_each_package_is_pinned_without_the_address_of_a_registry(self):
        wanted = json.loads((LIBRARY / "package.json").read_text())["dependencies"]
        packages = json.loads((LIBRARY / "package-lock.json").read_text())["packages"]
        self.assertEqual(packages.pop("")["dependencies"], wanted)
        for name, package in packages.items():
            self.assertEqual(package["version"], wanted[name.removeprefix("node_modules/")])
            self.assertTrue(package["integrity"].startswith("sha512-"), name)
            self.assertNotIn("resolved", package, name)


if __name__ == "__main__":
    unittest.main()
