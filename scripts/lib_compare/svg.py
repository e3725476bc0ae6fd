"""A bar chart as inline SVG: horizontal bars, min-max whiskers, the floor as a line.

The page's CSS sets the colours by class, so the chart follows the light or dark scheme. Pure.
"""

from html import escape
from typing import NamedTuple, Optional

from lib_compare.stats import Spread, spread

# About the width of a phone's screen.
WIDTH = 380
LABEL = 106
VALUE = 66
ROW = 26
BAR = 14
TOP = 8
FLOOR_TOP = 26

# A bar longer than this many typical bars is cut and marked, so that the others stay readable.
CUT = 3.0


class Bar(NamedTuple):
    """One bar: label, class ('ours', 'floor' or 'peer'), Spread, and value as text."""

    label: str
    kind: str
    spread: Spread
    text: str


def chart(title, bars, floor: Optional[float] = None, floor_text=""):
    """The SVG element with these bars; `floor` is drawn as a line across all of them."""
    limit = scale_limit([bar.spread for bar in bars])
    top = FLOOR_TOP if floor is not None else TOP
    height = top + ROW * len(bars) + 4
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
    ]
    for index, bar in enumerate(bars):
        parts += _bar(bar, top + ROW * index, limit)
    if floor is not None:
        parts += _floor_line(floor, floor_text, limit, height)
    return "\n".join([*parts, "</svg>"])


def scale_limit(spreads):
    """The value at the right end of the scale: the largest, unless it is far above the others."""
    largest = max(item.high for item in spreads)
    typical = spread([item.median for item in spreads]).median
    if largest > CUT * typical > 0:
        return CUT * typical
    return largest if largest > 0 else 1.0


def _x(value, limit):
    room = WIDTH - LABEL - VALUE
    return round(LABEL + room * min(max(value, 0) / limit, 1.0), 1)


def _bar(bar, y, limit):
    middle = y + ROW / 2
    end, low, high = (
        _x(value, limit) for value in (bar.spread.median, bar.spread.low, bar.spread.high)
    )
    baseline = middle + 4.5
    parts = [
        f'<text class="label {bar.kind}" x="{LABEL - 8}" y="{baseline}" text-anchor="end">'
        f"{escape(bar.label)}</text>",
        f'<rect class="bar {bar.kind}" x="{LABEL}" y="{middle - BAR / 2}" '
        f'width="{max(end - LABEL, 1):.1f}" height="{BAR}" rx="2"/>',
    ]
    if bar.spread.median > limit:
        parts.append(_cut(end, middle))
    elif high - low >= 1:
        parts.append(
            f'<path class="whisker" d="M{low} {middle}H{high}'
            f'M{low} {middle - 4}v8M{high} {middle - 4}v8"/>'
        )
    beyond = max(end, high) + 6
    parts.append(f'<text class="value" x="{beyond}" y="{baseline}">{escape(bar.text)}</text>')
    return parts


def _cut(x, middle):
    """Two slanted gaps across the end of a bar that is not drawn to scale."""
    strokes = "".join(f"M{x - gap} {middle + 9}l6 -18" for gap in (20, 14))
    return f'<path class="cut" d="{strokes}"/>'


def _floor_line(floor, text, limit, height):
    x = _x(floor, limit)
    return [
        f'<path class="floor-line" d="M{x} {FLOOR_TOP - 6}V{height}"/>',
        f'<text class="floor-text" x="{x}" y="{FLOOR_TOP - 11}" text-anchor="middle">'
        f"{escape(text)}</text>",
    ]
