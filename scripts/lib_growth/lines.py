"""A line chart as inline SVG: medians as connected dots, ranges as a band.

The page's CSS sets the colours by class, so the chart follows the light or dark scheme. Pure.
"""

import math
from html import escape
from typing import NamedTuple

# About the width of a phone's screen.
WIDTH = 380
HEIGHT = 236
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 28, 44

# The classes of the lines, in order.
KINDS = ("ours", "floor")

# Estimated width of a letter.
LETTER = 7.2
BOLD_LETTER = 8.6


class Line(NamedTuple):
    """One line: its label, and its points as a list of (x, Spread)."""

    label: str
    points: list


class Scale(NamedTuple):
    """Maps values to coordinates: `low` to `high` becomes `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value):
        """The coordinate of a value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = (math.log(max(one, 1e-9)) for one in (low, high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def chart(title, unit, axis, lines, write, *, log=True, steep=False):
    """The SVG element with these lines. `write` formats an x; `log` and `steep` make the x axis and
    the y axis logarithmic."""
    xs = sorted({x for line in lines for x, _ in line.points})
    spreads = [one for line in lines for _, one in line.points]
    ticks = powers(spreads) if steep else steps(max(one.high for one in spreads))
    across = Scale(xs[0], xs[-1], LEFT + 8, WIDTH - RIGHT - 8, log)
    up = Scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP, steep)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        f'<text class="tick" x="0" y="12">{escape(unit)}</text>',
        *_grid(ticks, up),
        *_places(xs, across, write),
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">'
        f"{escape(axis)}</text>",
    ]
    for line, kind in zip(lines, KINDS):
        parts += _line(line, kind, across, up)
    if len(lines) > 1:
        parts += _legend(lines)
    return "\n".join([*parts, "</svg>"])


def steps(largest):
    """Three to six round values from 0 to at least `largest`."""
    if largest <= 0:
        return [0, 1]
    magnitude = 10 ** math.floor(math.log10(largest / 3))
    step = next(magnitude * m for m in (1, 2, 5, 10) if largest / (magnitude * m) <= 5)
    return [step * index for index in range(math.ceil(largest / step) + 1)]


def powers(spreads):
    """Powers of ten that enclose all values."""
    low = math.floor(math.log10(max(min(one.low for one in spreads), 1e-9)))
    high = math.ceil(math.log10(max(max(one.high for one in spreads), 1e-9)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _grid(ticks, up):
    parts = []
    for tick in ticks:
        y = up.at(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:,g}</text>'
        )
    return parts


def _places(xs, across, write):
    """The labels of the x axis: the first and the last, and others that do not overlap."""
    parts, taken = [], []
    for x in [xs[0], xs[-1], *xs[1:-1]]:
        text, middle = write(x), across.at(x)
        half = len(text) * LETTER / 2 + 3
        if any(abs(middle - other) < half + room for other, room in taken) and parts:
            continue
        taken.append((middle, half))
        place = min(max(middle, half), WIDTH - half)
        parts.append(
            f'<text class="tick" x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{escape(text)}</text>'
        )
    return parts


def _line(line, kind, across, up):
    places = [(across.at(x), one) for x, one in line.points]
    above = [f"{x} {up.at(one.high)}" for x, one in places]
    below = [f"{x} {up.at(one.low)}" for x, one in reversed(places)]
    middle = [(x, up.at(one.median)) for x, one in places]
    return [
        f'<path class="band {kind}" d="M{"L".join(above + below)}Z"/>',
        f'<path class="line {kind}" d="M{"L".join(f"{x} {y}" for x, y in middle)}"/>',
        *[f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in middle],
    ]


def _legend(lines):
    """The names of the lines, at the bottom left."""
    parts, x = [], LEFT
    for line, kind in zip(lines, KINDS):
        parts.append(
            f'<text class="label {kind}" x="{x:.1f}" y="{HEIGHT - 6}">'
            f"● {escape(line.label)}</text>"
        )
        x += (len(line.label) + 4) * BOLD_LETTER
    return parts
