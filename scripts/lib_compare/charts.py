"""Charts as inline SVG: horizontal bars, and lines. Pure.

The page's CSS sets the colours by class, so a chart follows the light or dark scheme.
"""

import math
import statistics
from html import escape
from typing import NamedTuple

from lib_compare.judge import Spread

# About the width of a phone's screen.
WIDTH = 380

# Bars: the room for labels and values, and heights. A bar longer than CUT typical bars is cut and
# marked, so that the others stay readable.
LABEL, VALUE, ROW, BAR, TOP, FLOOR_TOP, CUT = 106, 66, 26, 14, 8, 26, 3.0

# Lines: height and margins, the classes of the lines in order, and the estimated width of a letter.
HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 236, 48, 16, 28, 44
KINDS = ("ours", "floor")
LETTER = 7.2


class Bar(NamedTuple):
    """One bar: label, class ('ours', 'floor' or 'peer'), Spread, and value as text."""

    label: str
    kind: str
    spread: Spread
    text: str


def _svg(title, height, parts):
    name = escape(title)
    return "\n".join([
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}" '
        'xmlns="http://www.w3.org/2000/svg">', f"<title>{name}</title>", *parts, "</svg>",
    ])


def _text(style, x, y, anchor, text):
    return (f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")


def bars(title, some, floor=None, floor_text=""):
    """Bars with whiskers from minimum to maximum; `floor` is drawn as a line across all of them."""
    largest = max(bar.spread.high for bar in some)
    typical = statistics.median(bar.spread.median for bar in some)
    limit = CUT * typical if largest > CUT * typical > 0 else largest or 1.0

    def place(value):
        return round(LABEL + (WIDTH - LABEL - VALUE) * min(max(value, 0) / limit, 1.0), 1)

    top = FLOOR_TOP if floor is not None else TOP
    height = top + ROW * len(some) + 4
    parts = []
    for index, bar in enumerate(some):
        middle = top + ROW * index + ROW / 2
        low, end, high = map(place, (bar.spread.low, bar.spread.median, bar.spread.high))
        parts.append(_text(f"label {bar.kind}", LABEL - 8, middle + 4.5, "end", bar.label))
        parts.append(f'<rect class="bar {bar.kind}" x="{LABEL}" y="{middle - BAR / 2}" '
                     f'width="{max(end - LABEL, 1):.1f}" height="{BAR}" rx="2"/>')
        if bar.spread.median > limit:
            strokes = "".join(f"M{end - gap} {middle + 9}l6 -18" for gap in (20, 14))
            parts.append(f'<path class="cut" d="{strokes}"/>')
        elif high - low >= 1:
            parts.append(f'<path class="whisker" d="M{low} {middle}H{high}M{low} {middle - 4}v8'
                         f'M{high} {middle - 4}v8"/>')
        parts.append(_text("value", max(end, high) + 6, middle + 4.5, "start", bar.text))
    if floor is not None:
        x = place(floor)
        parts.append(f'<path class="floor-line" d="M{x} {FLOOR_TOP - 6}V{height}"/>')
        parts.append(_text("floor-text", x, FLOOR_TOP - 11, "middle", floor_text))
    return _svg(title, height, parts)


def lines(title, unit, axis, curves, write, *, log, steep):
    """Medians as connected dots, ranges as a band. `curves` maps the label of a line to its (x,
    Spread) points; `write` formats an x; `log` and `steep` make the axes logarithmic."""
    xs = sorted({x for points in curves.values() for x, _ in points})
    spreads = [one for points in curves.values() for _, one in points]
    ticks = powers(spreads) if steep else steps(max(one.high for one in spreads))

    def across(value):
        return _scale(value, xs[0], xs[-1], LEFT + 8, WIDTH - RIGHT - 8, log)

    def up(value):
        return _scale(value, ticks[0], ticks[-1], HEIGHT - BELOW, ABOVE, steep)

    parts = [_text("tick", 0, 12, "start", unit),
             _text("tick", WIDTH - RIGHT, HEIGHT - 6, "end", axis)]
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {up(tick)}H{WIDTH - RIGHT}"/>')
        parts.append(_text("tick", LEFT - 6, up(tick) + 4, "end", f"{tick:,g}"))
    parts += _places(xs, across, write)
    label_x = LEFT
    for (label, points), kind in zip(curves.items(), KINDS):
        above = [f"{across(x)} {up(one.high)}" for x, one in points]
        below = [f"{across(x)} {up(one.low)}" for x, one in reversed(points)]
        middle = [(across(x), up(one.median)) for x, one in points]
        parts.append(f'<path class="band {kind}" d="M{"L".join(above + below)}Z"/>')
        parts.append(f'<path class="line {kind}" d="M{"L".join(f"{x} {y}" for x, y in middle)}"/>')
        parts += [f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in middle]
        if len(curves) > 1:
            parts.append(_text(f"label {kind}", label_x, HEIGHT - 6, "start", f"● {label}"))
            label_x += (len(label) + 4) * LETTER * 1.2
    return _svg(title, HEIGHT, parts)


def _scale(value, low, high, start, end, log):
    if log:
        low, high, value = (math.log(max(one, 1e-9)) for one in (low, high, value))
    return round(start + ((value - low) / (high - low) if high > low else 0.5) * (end - start), 1)


def _places(xs, across, write):
    """The labels of the x axis: the first and the last, and others that do not overlap."""
    parts, taken = [], []
    for x in [xs[0], xs[-1], *xs[1:-1]]:
        middle, half = across(x), len(write(x)) * LETTER / 2 + 3
        if not any(abs(middle - other) < half + room for other, room in taken):
            taken.append((middle, half))
            place = min(max(middle, half), WIDTH - half)
            parts.append(_text("tick", place, HEIGHT - BELOW + 18, "middle", write(x)))
    return parts


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
