"""What the person who waits is told, on standard error, beside the tables."""

import sys


def progress(line):
    """Shows one line of progress in place, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line[:100]}")
        sys.stderr.flush()


def say(line):
    """One line that stays."""
    print(line, file=sys.stderr, flush=True)
