"""Medians, spreads and percentiles. Pure functions over numbers."""

import math
import statistics
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of some samples with their smallest and largest value."""

    median: float
    low: float
    high: float


# Figures closer than this are level. Where there is one round only, nothing is known of the noise,
# and the margin is wider.
LEVEL = 0.02
LEVEL_SINGLE = 0.10

# So many of the rounds must agree: the rest may be noise.
AGREE = 0.75


def spread(samples):
    """The Spread of a list of numbers; None of an empty one."""
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
    """Round by round, ours over theirs: a machine that is slow for a while is so for both."""
    return [mine / other for mine, other in zip(ours, theirs) if other > 0]


def judge(found):
    """'won', 'lost' or 'level' for the ratios of the rounds, of which the smaller is the better.

    Won and lost need a median some margin from 1, and most of the rounds on that side of it.
    """
    margin = LEVEL_SINGLE if len(found) == 1 else LEVEL
    middle = statistics.median(found)
    for word, sign in (("won", -1), ("lost", 1)):
        agreeing = sum(1 for ratio in found if sign * (ratio - 1) > 0)
        if sign * (middle - 1) >= margin and agreeing >= AGREE * len(found):
            return word
    return "level"
