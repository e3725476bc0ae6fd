"""Turns the samples of a series into a verdict. Pure functions.

The points of a series are measured in turn, and two points are compared within each round: a slow
minute of the machine affects both equally and cancels out in their ratio. A bound is exceeded if
the median of the rounds exceeds it and most rounds agree; otherwise the difference is within the
noise.
"""

import statistics
from typing import NamedTuple

from lib_compare.stats import AGREE, LEVEL, spread
from lib_compare.verdicts import QUIET
from lib_growth import fit, series as table
from lib_growth.series import AT_REST, LINEAR, PACED

OK, NOISE, EXCEEDED = "ok", "within noise", "EXCEEDED"
NO_BOUND, UNKNOWN = "no bound", "not measured"

# From best to worst.
ORDER = (NO_BOUND, OK, NOISE, UNKNOWN, EXCEEDED)


class Verdict(NamedTuple):
    """The result of a series: its mark, and the finding as text."""

    mark: str
    finding: str


def judge(series, data):
    """The Verdict of one series; `data` has the points with their samples."""
    if data.get("absent") or any(point.get("absent") for point in data["points"]):
        return Verdict(UNKNOWN, "some points could not be measured")
    return RULES[series.rule](series, data)


def curve(data, line, metric):
    """The measured points of one line as a list of (x, Spread), in order."""
    found = []
    for point in data["points"]:
        values = [sample[metric.key] for sample in point["samples"] if metric.key in sample]
        if point["line"] == line and values:
            found.append((point["x"], spread(values)))
    return found


def disturbed(data):
    """Whether the server waited for its core in half of the samples, because of other processes."""
    waited = [s["waited"] for p in data["points"] for s in p["samples"] if "waited" in s]
    return bool(waited) and spread(waited).median > QUIET


def worst(marks):
    """The worst of some marks."""
    return max(marks, key=ORDER.index)


def _only(series, data):
    """The points of a series with a single line: (x, figures of the rounds)."""
    key = series.judged.key
    return [(p["x"], [sample[key] for sample in p["samples"]]) for p in data["points"]]


def _growth(ones, others):
    """The relative growth from ones to others in each round."""
    return [other / one - 1 for one, other in zip(ones, others)]


def _mark(grown, limit):
    """The mark for the growth in each round."""
    if statistics.median(grown) <= limit:
        return OK
    agreed = sum(value > limit for value in grown)
    return EXCEEDED if agreed >= AGREE * len(grown) else NOISE


def _range(grown, write):
    """The median of the rounds with their range."""
    middle = write.format(statistics.median(grown))
    return f"{middle} (rounds: {write.format(min(grown))} to {write.format(max(grown))})"


def _share(series, data):
    """No point may exceed the first by more than the share IDLE_SHARE."""
    (_, first), *others = _only(series, data)
    grown = [(x, _growth(first, values)) for x, values in others]
    findings = [f"{_range(values, '{:+.1%}')} at {series.write(x)}" for x, values in grown]
    marks = [_mark(values, table.IDLE_SHARE) for _, values in grown]
    return Verdict(worst(marks), ", ".join(findings))


def _absolute(series, data):
    """The last point may exceed the first by at most CACHED_US."""
    points = _only(series, data)
    (least, first), (most, last) = points[0], points[-1]
    grown = [other - one for one, other in zip(first, last)]
    finding = f"{_range(grown, '{:+.2f}')} µs from {series.write(least)} to {series.write(most)}"
    return Verdict(_mark(grown, table.CACHED_US), finding)


def _falling(series, data):
    """No figure may exceed the lowest figure before it by more than LEVEL."""
    (_, lowest), *others = points = _only(series, data)
    rises = []
    for x, values in others:
        rises.append((x, _growth(lowest, values)))
        lowest = min(lowest, values, key=statistics.median)
    x, highest = max(rises, key=lambda rise: statistics.median(rise[1]))
    first, last = (statistics.median(values) for _, values in (points[0], points[-1]))
    finding = (
        f"{first:.2f} to {last:.2f} µs; the largest step up, or the smallest step down, is at "
        f"{series.write(x)}: {_range(highest, '{:+.1%}')}"
    )
    return Verdict(worst([_mark(values, LEVEL) for _, values in rises]), finding)


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
    finding = (
        f"{found.start:,.1f} µs + {found.slope:,.3f} µs per {series.each} (largest error of a "
        f"point: {found.worst:.1%}); the steepest step, {where}, has the exponent "
        f"{_range(steepest, '{:.2f}')}"
    )
    return Verdict(worst([_mark(powers, LINEAR) for _, powers in steps]), finding)


def _wakes(series, data):
    """At most WAKES_PER_REQUEST for each line, and no wakeup while idle."""
    marks, findings = [], []
    for line in series.lines:
        for x, one in curve(data, line, series.judged):
            limit = {PACED: table.WAKES_PER_REQUEST, AT_REST: 0}[x]
            marks.append(OK if one.median <= limit else EXCEEDED)
            findings.append(f"{line} {x}: {series.judged.write(one.median)}")
    return Verdict(worst(marks), "; ".join(findings))


def _crossing(series, data):
    """For each metric: the ratio of the second line to the first, and where the two cross."""
    findings = []
    for metric in series.metrics:
        ratios = _ratios(series, data, metric.key)
        listed = ", ".join(f"{ratio:.2f} at {series.write(x)}" for x, ratio in ratios)
        findings.append(
            f"{metric.label}: {_crossing_text(series, ratios)} ({series.lines[1]} / "
            f"{series.lines[0]}: {listed})"
        )
    return Verdict(NO_BOUND, "; ".join(findings))


def _ratios(series, data, key):
    """For each x, the median over the rounds of the second line's figure / the first line's."""
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
