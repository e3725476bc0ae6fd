"""A series' figures turned into a verdict. Pure functions over samples.

The points of a series are visited in turn, so two of them are compared within each round: a slow
minute of the machine touches both alike, and does not show in their ratio. A bound is exceeded if
the median of the rounds exceeds it and most rounds agree; else the difference is within the noise.
"""

import statistics
from typing import NamedTuple

from lib_compare.stats import AGREE, LEVEL, spread
from lib_compare.verdicts import QUIET
from lib_growth import fit, series as table
from lib_growth.series import AT_REST, LINEAR, PACED

OK, NOISE, EXCEEDED = "ok", "within noise", "EXCEEDED"
NO_BOUND, UNKNOWN = "no bound", "not measured"

# The worst comes last.
ORDER = (NO_BOUND, OK, NOISE, UNKNOWN, EXCEEDED)


class Verdict(NamedTuple):
    """What a series shows: its mark, and what was found, in words."""

    mark: str
    said: str


def judge(series, data):
    """The Verdict of one series; `data` has the points with their samples."""
    if data.get("absent") or any(point.get("absent") for point in data["points"]):
        return Verdict(UNKNOWN, "not all of it could be measured")
    return RULES[series.rule](series, data)


def curve(data, line, metric):
    """The measured points of one line as a list of (x, Spread), in the order of the points."""
    found = []
    for point in data["points"]:
        values = [sample[metric.key] for sample in point["samples"] if metric.key in sample]
        if point["line"] == line and values:
            found.append((point["x"], spread(values)))
    return found


def disturbed(data):
    """Whether the server had to wait for its core in half of the samples: others were running."""
    waited = [s["waited"] for p in data["points"] for s in p["samples"] if "waited" in s]
    return bool(waited) and spread(waited).median > QUIET


def worst(marks):
    """The worst of some marks."""
    return max(marks, key=ORDER.index)


def _only(series, data):
    """The points of a series with one line, each an x with the figures of its rounds."""
    key = series.judged.key
    return [(p["x"], [sample[key] for sample in p["samples"]]) for p in data["points"]]


def _growth(ones, others):
    """What each round has of the others more than of the ones, as a share."""
    return [other / one - 1 for one, other in zip(ones, others)]


def _mark(grown, limit):
    """The mark of what each round has grown by."""
    if statistics.median(grown) <= limit:
        return OK
    agreed = sum(value > limit for value in grown)
    return EXCEEDED if agreed >= AGREE * len(grown) else NOISE


def _range(grown, write):
    """The median of the rounds with their range."""
    middle = write.format(statistics.median(grown))
    return f"{middle} (rounds: {write.format(min(grown))} to {write.format(max(grown))})"


def _share(series, data):
    """The last may exceed the first, and all between, by a share."""
    (_, first), *others = _only(series, data)
    grown = [(x, _growth(first, values)) for x, values in others]
    said = [f"{_range(values, '{:+.1%}')} at {series.write(x)}" for x, values in grown]
    return Verdict(worst([_mark(values, table.IDLE_SHARE) for _, values in grown]), ", ".join(said))


def _absolute(series, data):
    """The last may exceed the first by so many microseconds."""
    points = _only(series, data)
    (least, first), (most, last) = points[0], points[-1]
    grown = [other - one for one, other in zip(first, last)]
    said = f"{_range(grown, '{:+.2f}')} µs from {series.write(least)} to {series.write(most)}"
    return Verdict(_mark(grown, table.CACHED_US), said)


def _falling(series, data):
    """No figure may be above the lowest before it; what is LEVEL is not above."""
    (_, lowest), *others = points = _only(series, data)
    rises = []
    for x, values in others:
        rises.append((x, _growth(lowest, values)))
        lowest = min(lowest, values, key=statistics.median)
    x, highest = max(rises, key=lambda rise: statistics.median(rise[1]))
    first, last = (statistics.median(values) for _, values in (points[0], points[-1]))
    said = (
        f"{first:.2f} to {last:.2f} µs; the step up, or the smallest step down, is at "
        f"{series.write(x)}: {_range(highest, '{:+.1%}')}"
    )
    return Verdict(worst([_mark(values, LEVEL) for _, values in rises]), said)


def _linear(series, data):
    return _steps(series, _only(series, data))


def _multipart(series, data):
    return _steps(series, [point for point in _only(series, data) if point[0] >= 2])


def _steps(series, points):
    """No step may be steeper than LINEAR."""
    steps = []
    for (x, ones), (next_x, others) in zip(points, points[1:]):
        powers = [fit.steepness((x, a), (next_x, b)) for a, b in zip(ones, others)]
        steps.append((f"{series.write(x)} to {series.write(next_x)}", powers))
    where, steepest = max(steps, key=lambda step: statistics.median(step[1]))
    found = fit.line([(x, statistics.median(values)) for x, values in points])
    said = (
        f"{found.start:,.1f} µs and {found.slope:,.3f} µs for each {series.each} (no point is "
        f"more than {found.worst:.1%} off); the steepest step, {where}, goes by the power "
        f"{_range(steepest, '{:.2f}')}"
    )
    return Verdict(worst([_mark(powers, LINEAR) for _, powers in steps]), said)


def _wakes(series, data):
    """A bound on each line, and none at all at rest."""
    marks, said = [], []
    for line in series.lines:
        for x, one in curve(data, line, series.judged):
            limit = {PACED: table.WAKES_PER_REQUEST, AT_REST: 0}[x]
            marks.append(OK if one.median <= limit else EXCEEDED)
            said.append(f"{line} {x}: {series.judged.write(one.median)}")
    return Verdict(worst(marks), "; ".join(said))


def _crossing(series, data):
    """What the second line costs in terms of the first, and where the two cross, by each metric."""
    said = []
    for metric in series.metrics:
        ratios = _ratios(series, data, metric.key)
        listed = ", ".join(f"{ratio:.2f} at {series.write(x)}" for x, ratio in ratios)
        said.append(
            f"{metric.label}: {_crossing_text(series, ratios)} ({series.lines[1]} to "
            f"{series.lines[0]}: {listed})"
        )
    return Verdict(NO_BOUND, "; ".join(said))


def _ratios(series, data, key):
    """For each x the median over the rounds of the second line's figure to the first's."""
    taken = {
        line: {p["x"]: [s[key] for s in p["samples"]] for p in data["points"] if p["line"] == line}
        for line in series.lines
    }
    ones, others = taken.values()
    return [
        (x, statistics.median(b / a for a, b in zip(figures, others[x])))
        for x, figures in ones.items()
    ]


def _crossing_text(series, ratios):
    first, second = series.lines
    passed = [f"{x / 1024:,.0f}" for x in fit.crossings(ratios)]
    cheaper = second if ratios[-1][1] < 1 else first
    if not passed:
        return f"{cheaper} is cheaper at every size"
    if len(passed) > 1:
        return f"the two cross more than once, at about {', '.join(passed)} KiB"
    return f"{cheaper} is cheaper from about {passed[0]} KiB on"


RULES = {
    "share": _share,
    "absolute": _absolute,
    "falling": _falling,
    "linear": _linear,
    "multipart": _multipart,
    "wakes": _wakes,
    "crossing": _crossing,
}
