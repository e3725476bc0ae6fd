"""Growth of figures: line fits, the steepness of a step, crossings of two curves. Pure."""

import math
from typing import NamedTuple


class Line(NamedTuple):
    """`start` + `slope` · x, and the largest relative error of a point."""

    start: float
    slope: float
    worst: float


def line(points):
    """Fits a line to (x, y) points by least squares of the relative errors.

    The errors are relative because the noise grows with the figure: with absolute errors the
    largest points alone would determine `start`.
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
    """The exponent of x between two (x, y) points: 1 is linear, 2 is quadratic."""
    return math.log(second[1] / first[1]) / math.log(second[0] / first[0])


def crossings(ratios):
    """Each x at which the ratio crosses 1, interpolated, from a list of (x, ratio)."""
    found = []
    for (x, ratio), (next_x, next_ratio) in zip(ratios, ratios[1:]):
        if (ratio < 1) != (next_ratio < 1):
            start, end = math.log(ratio), math.log(next_ratio)
            found.append(x * (next_x / x) ** (start / (start - end)))
    return found
