"""Progress and messages on standard error, separate from the tables."""

import sys


def progress(line):
    """Overwrites the progress line; on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line[:100]}")
        sys.stderr.flush()


def say(line):
    """Prints one message line."""
    print(line, file=sys.stderr, flush=True)
