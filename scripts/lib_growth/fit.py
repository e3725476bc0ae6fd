"""How figures grow: a straight line, the steepness of a step, where two curves cross. Pure."""

import math
from typing import NamedTuple


class Line(NamedTuple):
    """`start` + `slope` · x, and how far off its worst point is, as a share of that point."""

    start: float
    slope: float
    worst: float


def line(points):
    """The line through some (x, y), by least squares of the relative errors.

    Relative, because the noise of a figure grows with it: the largest points alone would else
    decide where the line starts.
    """
    weights = [1 / (y * y) for _, y in points]
    total = sum(weights)
    middle_x = sum(w * x for w, (x, _) in zip(weights, points)) / total
    middle_y = sum(w * y for w, (_, y) in zip(weights, points)) / total
    across = sum(w * (x - middle_x) ** 2 for w, (x, _) in zip(weights, points))
    rise = sum(w * (x - middle_x) * (y - middle_y) for w, (x, y) in zip(weights, points))
    slope = rise / across
    start = middle_y - slope * middle_x
    return Line(start, slope, max(abs(start + slope * x - y) / y for x, y in points))


def steepness(first, second):
    """The power of x that the step between two (x, y) shows: 1 is linear, 2 is quadratic."""
    return math.log(second[1] / first[1]) / math.log(second[0] / first[0])


def crossings(ratios):
    """Each x at which a ratio passes 1, read off between the points, from a list of (x, ratio)."""
    found = []
    for (x, ratio), (next_x, next_ratio) in zip(ratios, ratios[1:]):
        if (ratio < 1) != (next_ratio < 1):
            start, end = math.log(ratio), math.log(next_ratio)
            found.append(x * (next_x / x) ** (start / (start - end)))
    return found
