"""Medians, spreads and percentiles. Pure functions over numbers."""

import math
import statistics
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of some samples with their smallest and largest value."""

    median: float
    low: float
    high: float


# Two medians closer than this are level, even if no sample of one reaches the other. Where there
# is one sample each, nothing is known of the noise, and the margin is wider.
LEVEL = 0.02
LEVEL_SINGLE = 0.10


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


def judge(ours, theirs):
    """'won', 'lost' or 'level' for two Spreads of which the smaller is the better.

    Won and lost need ranges that do not overlap and medians some margin apart: a difference
    within the noise is no difference.
    """
    single = ours.low == ours.high and theirs.low == theirs.high
    margin = LEVEL_SINGLE if single else LEVEL
    if abs(ours.median - theirs.median) < margin * theirs.median:
        return "level"
    if ours.high < theirs.low:
        return "won"
    if ours.low > theirs.high:
        return "lost"
    return "level"
