"""Turns samples into ratios, marks and verdicts. Pure functions.

Figures are compared within each round: a slow minute of the machine affects all servers, or all
points of a series, and cancels out in their ratio.
"""

import math
import statistics
from typing import NamedTuple, Optional

from lib_compare.scenarios import BOTH, RATE, WAITED

# Figures closer than this are level. With a single round the noise is unknown, so the margin is
# wider.
LEVEL, LEVEL_SINGLE = 0.02, 0.10

# This share of the rounds must agree; the others may be noise.
AGREE = 0.75

# Servers that waited for their core for more than this share of their time were disturbed.
DISTURBED = 0.05

OK, NOISE, EXCEEDED, UNKNOWN = "ok", "within noise", "EXCEEDED", "not measured"


class Spread(NamedTuple):
    """The median of the samples with their minimum and maximum."""

    median: float
    low: float
    high: float


class Row(NamedTuple):
    """One server or point: the Spread of each metric by key, its ratios to the floor and to the
    best peer, or the reason for its absence."""

    name: str
    kind: str  # "ours", "floor", "peer"
    spreads: dict
    to_floor: Optional[float]
    to_peer: Optional[float]
    absent: Optional[str]


class Summary(NamedTuple):
    """One scenario: its rows, best first, and the result for tenkay.

    `mark` is 'won', 'lost' or 'level' against the best peer, or None if either is missing.
    `both_mark` and `rate_mark` are the same for the CPU time of server + client and for requests
    per second. Each compares with the peer that is best by that metric. `finding` explains the
    verdict on a series.
    """

    scenario: object
    metrics: list
    rows: list
    best_peer: Optional[Row]
    mark: Optional[str]
    both_mark: Optional[str]
    rate_mark: Optional[str]
    goal: Optional[str]
    goal_met: Optional[bool]
    disturbed: bool
    results: dict
    finding: str = ""

    def find(self, kind):
        """The measured row of tenkay ('ours') or of the floor, or None."""
        name = {"ours": "tenkay", "floor": "floor"}[kind]
        return next((row for row in self.rows if row.name == name and row.spreads), None)


def spread(samples):
    """The Spread of a list of numbers; None for an empty list."""
    return Spread(statistics.median(samples), min(samples), max(samples)) if samples else None


def mark(ratios):
    """'won', 'lost' or 'level' for the ratios of the rounds, where smaller is better; None without
    ratios. For 'won' and 'lost' the median must differ from 1 by a margin, and AGREE of the rounds
    must be on the same side."""
    if not ratios:
        return None
    margin = LEVEL_SINGLE if len(ratios) == 1 else LEVEL
    for word, sign in (("won", -1), ("lost", 1)):
        agreeing = sum(sign * (ratio - 1) > 0 for ratio in ratios)
        if sign * (statistics.median(ratios) - 1) >= margin and agreeing >= AGREE * len(ratios):
            return word
    return "level"


def ratio(results, mine, other, key):
    """The median of the ratios of two servers within the rounds; None if there are none."""
    found = _ratios(results, mine, other, key)
    return statistics.median(found) if found else None


def _ratios(results, mine, other, key):
    if mine not in results or other not in results:
        return []
    pairs = zip(results[mine]["samples"], results[other]["samples"])
    return [a[key] / b[key] for a, b in pairs if a.get(key) and b.get(key)]


def summarise(scenario, kinds, results):
    """The Summary of one scenario; `kinds` maps the names of the servers to their kinds."""
    measured = {key for one in results.values() for sample in one["samples"] for key in sample}
    metrics = [metric for metric in scenario.metrics if metric.key in measured]
    metrics = metrics or list(scenario.metrics[:1])
    key = metrics[0].key
    spreads = {name: _spreads(one["samples"]) for name, one in results.items()}
    floor = _best(spreads, kinds, "floor", key)
    peer = _best(spreads, kinds, "peer", key)
    rows = [
        Row(name, kinds.get(name, "ours"), spreads[name], ratio(results, name, floor, key),
            ratio(results, name, peer, key), one["absent"])
        for name, one in results.items()
    ]
    if scenario.kind != "growth":
        rows.sort(key=lambda row: (not row.spreads, row.spreads.get(key, (0,))[0]))
    waited = [row.spreads[WAITED.key].median for row in rows if WAITED.key in row.spreads]
    ours = next((row for row in rows if row.name == "tenkay" and row.spreads), None)

    def against(metric, sign=1):
        name = _best(spreads, kinds, "peer", metric.key, sign)
        found = _ratios(results, ours.name, name, metric.key) if ours else []
        return mark([one**sign for one in found])

    summary = Summary(
        scenario, metrics, rows, next((row for row in rows if row.name == peer), None),
        against(metrics[0]), against(BOTH), against(RATE, -1), None, None,
        # A single server does not count: one with several threads on its core waits for itself.
        bool(waited) and statistics.median(waited) > DISTURBED, results,
    )
    return _with_goal(summary, ours)


def _spreads(samples):
    keys = {key for sample in samples for key in sample}
    return {key: spread([one[key] for one in samples if key in one]) for key in keys}


def _best(spreads, kinds, kind, key, sign=1):
    """The name of the measured server of this kind with the best median, or None."""
    names = [name for name, mine in spreads.items() if key in mine and kinds.get(name) == kind]
    return min(names, key=lambda name: sign * spreads[name][key].median, default=None)


def _with_goal(summary, ours):
    """Adds the goal as text, and whether it is met (None: unknown)."""
    goal, ranked = summary.scenario.goal, summary.metrics[0]
    if goal is None:
        return summary
    if summary.scenario.kind == "growth":
        text, found, finding = _series(summary)
        return summary._replace(goal=text, goal_met={OK: True, NOISE: True}.get(found, False),
                                finding=f"{found}: {finding}")
    text, value = {
        "value": (f"≤ {ranked.text(goal.limit)}",
                  ours.spreads[ranked.key].median if ours else None),
        "floor": (f"≤ {goal.limit:.2f} × floor", ours.to_floor if ours else None),
        "peer": (f"≤ {goal.limit:.2f} × best peer", ours.to_peer if ours else None),
    }[goal.against]
    return summary._replace(goal=text, goal_met=None if value is None else value <= goal.limit)


# Series. A bound is exceeded if the median of the rounds exceeds it and most rounds agree;
# otherwise the difference is within the noise.


def point(line, x):
    """The name of a point of a series."""
    return f"{line} {x}"


def curve(summary, line, metric):
    """The measured points of one line as a list of (x, Spread), in order."""
    rows = {row.name: row.spreads for row in summary.rows}
    found = [(x, rows.get(point(line, x), {}).get(metric.key)) for x in summary.scenario.points]
    return [(x, one) for x, one in found if one]


def _series(summary):
    """The bound as text, the verdict, and the finding."""
    scenario, goal, metric = summary.scenario, summary.scenario.goal, summary.metrics[0]
    text = {
        "share": f"at most +{goal.limit:.0%} from the first point",
        "absolute": f"at most +{goal.limit} µs from the first point to the last",
        "falling": "no increase", "linear": "linear", "none": "none",
    }[goal.against]
    missing = [row.name for row in summary.rows if not row.spreads]
    if missing or not summary.rows:
        return text, UNKNOWN, f"without {', '.join(missing) or 'any point'}"
    first = {x: summary.results.get(point(scenario.lines[0], x)) for x in scenario.points}
    points = [(x, [sample[metric.key] for sample in one["samples"]])
              for x, one in first.items() if one]
    return text, *RULES[goal.against](summary, points, goal.limit)


def _verdict(grown, limit):
    if statistics.median(grown) <= limit:
        return OK
    return EXCEEDED if sum(one > limit for one in grown) >= AGREE * len(grown) else NOISE


def _worst(marks):
    return max(marks, key=(OK, NOISE, EXCEEDED).index)


def _share(_, points, limit):
    """No point may exceed the first by more than a share."""
    (_, first), *others = points
    grown = [(x, [b / a - 1 for a, b in zip(first, values)]) for x, values in others]
    finding = ", ".join(f"{statistics.median(values):+.1%} at {x:,}" for x, values in grown)
    return _worst([_verdict(values, limit) for _, values in grown]), finding


def _absolute(_, points, limit):
    """The last point may exceed the first by an amount."""
    (least, first), (most, last) = points[0], points[-1]
    grown = [b - a for a, b in zip(first, last)]
    finding = f"{statistics.median(grown):+.2f} µs from {least:,} to {most:,}"
    return _verdict(grown, limit), finding


def _falling(_, points, limit):
    """No figure may exceed the lowest figure before it by more than a share."""
    (_, lowest), *others = points
    marks = []
    for _, values in others:
        marks.append(_verdict([b / a - 1 for a, b in zip(lowest, values)], limit))
        lowest = min(lowest, values, key=statistics.median)
    first, last = (statistics.median(values) for _, values in (points[0], points[-1]))
    return _worst(marks), f"from {first:.2f} to {last:.2f} µs"


def _linear(summary, points, limit):
    """No step may be steeper than x to the power of `limit`. One range is not sent as multipart."""
    points = points[1:] if summary.scenario.each == "range" else points
    steps = []
    for (x, ones), (next_x, others) in zip(points, points[1:]):
        powers = [math.log(b / a) / math.log(next_x / x) for a, b in zip(ones, others)]
        steps.append((f"{x:,} to {next_x:,}", powers))
    where, steepest = max(steps, key=lambda step: statistics.median(step[1]))
    start, slope = fit([(x, statistics.median(values)) for x, values in points])
    return _worst([_verdict(powers, limit) for _, powers in steps]), (
        f"{start:,.1f} µs + {slope:,.3f} µs per {summary.scenario.each}; the steepest step, "
        f"{where}, has the exponent {statistics.median(steepest):.2f}")


def fit(points):
    """Start and slope of the line through (x, y) points, by least squares of the relative errors:
    the noise grows with the figure."""
    weights = [1 / (y * y) for _, y in points]
    total = sum(weights)
    middle_x = sum(w * x for w, (x, _) in zip(weights, points)) / total
    middle_y = sum(w * y for w, (_, y) in zip(weights, points)) / total
    rise = sum(w * (x - middle_x) * (y - middle_y) for w, (x, y) in zip(weights, points))
    slope = rise / sum(w * (x - middle_x) ** 2 for w, (x, _) in zip(weights, points))
    return middle_y - slope * middle_x, slope


def _none(summary, _, __):
    """For each metric, the second line divided by the first."""
    first, second = summary.scenario.lines
    findings = []
    for metric in summary.metrics[:2]:
        found = [(x, ratio(summary.results, point(second, x), point(first, x), metric.key))
                 for x in summary.scenario.points]
        listed = ", ".join(f"{one:.2f} at {x >> 10:,} KiB" for x, one in found if one)
        findings.append(f"{metric.label}, {second} / {first}: {listed}")
    return OK, "; ".join(findings)


RULES = {"share": _share, "absolute": _absolute, "falling": _falling, "linear": _linear,
         "none": _none}
