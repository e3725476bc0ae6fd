"""Medians, spreads and percentiles. Pure functions over numbers."""

import math
import statistics
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of the samples with their minimum and maximum."""

    median: float
    low: float
    high: float


# Figures closer than this are level. With a single round the noise is unknown, so the margin is
# wider.
LEVEL = 0.02
LEVEL_SINGLE = 0.10

# This share of the rounds must agree; the others may be noise.
AGREE = 0.75


def spread(samples):
    """The Spread of a list of numbers; None for an empty list."""
    if not samples:
        return None
    return Spread(statistics.median(samples), min(samples), max(samples))


def percentile(ordered, percent):
    """The smallest value with at least `percent` of the sorted list at or below it."""
    if not ordered:
        raise ValueError("no values")
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def ratios(ours, theirs):
    """Ours divided by theirs, round by round: a slow phase of the machine affects both."""
    return [mine / other for mine, other in zip(ours, theirs) if other > 0]


def judge(found):
    """'won', 'lost' or 'level' for the ratios of the rounds, where smaller is better.

    For 'won' and 'lost' the median must differ from 1 by a margin, and AGREE of the rounds must be
    on the same side.
    """
    margin = LEVEL_SINGLE if len(found) == 1 else LEVEL
    middle = statistics.median(found)
    for word, sign in (("won", -1), ("lost", 1)):
        agreeing = sum(1 for ratio in found if sign * (ratio - 1) > 0)
        if sign * (middle - 1) >= margin and agreeing >= AGREE * len(found):
            return word
    return "level"
