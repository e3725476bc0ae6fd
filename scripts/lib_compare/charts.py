"""Charts of series as inline SVG. Pure.

The page's CSS sets the colours by class, so a chart follows the light or dark scheme.
"""

import math
from html import escape

# Width (about that of a phone's screen), height and margins, the classes of the lines in order, and
# the estimated width of a letter.
WIDTH, HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 380, 236, 48, 16, 28, 44
KINDS = ("ours", "floor")
LETTER = 7.2

# An axis whose largest value is more than this many times the smallest one has a wide range.
WIDE = 20


def lines(title, unit, axis, curves, write):
    """Medians as connected dots, ranges as a band. `curves` maps the label of a line to its (x,
    Spread) points; `write` formats an x. An axis with a wide range is logarithmic."""
    xs = sorted({x for points in curves.values() for x, _ in points})
    spreads = [one for points in curves.values() for _, one in points]
    lowest, highest = min(one.low for one in spreads), max(one.high for one in spreads)
    log, steep = xs[-1] > WIDE * xs[0] > 0, highest > WIDE * lowest > 0
    ticks = powers(lowest, highest) if steep else steps(highest)

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
    name = escape(title)
    return "\n".join([
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}" '
        'xmlns="http://www.w3.org/2000/svg">', f"<title>{name}</title>", *parts, "</svg>",
    ])


def _text(style, x, y, anchor, text):
    return (f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")


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
    magnitude = 10 ** math.floor(math.log10(largest / 3))
    step = next(magnitude * m for m in (1, 2, 5, 10) if largest / (magnitude * m) <= 5)
    return [step * index for index in range(math.ceil(largest / step) + 1)]


def powers(smallest, largest):
    """Powers of ten that enclose both values."""
    low, high = math.floor(math.log10(smallest)), math.ceil(math.log10(largest))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]
