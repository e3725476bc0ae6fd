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

NGINX = ("nginx", "nginx-copy")


class Spread(NamedTuple):
    """The median of the samples with their minimum and maximum."""

    median: float
    low: float
    high: float


class Row(NamedTuple):
    """One server or point: the Spread of each metric by key, and the reason for its absence."""

    name: str
    kind: str  # "ours", "floor", "peer"
    spreads: dict
    absent: Optional[str]


class Summary:
    """One scenario: its rows, best first, and the result for tenkay.

    `results` has the samples of each server or point, as bench.run returns them, and `kinds` the
    kinds of the servers by name. `marks` are 'won', 'lost' or 'level' for the ranked metric, server
    + client, and requests per second, each against the peer that is best by it; None without.
    `goal` is the goal as text, `met` whether it is met (None: unknown), and `finding` explains the
    verdict on a series.
    """

    def __init__(self, scenario, kinds, results):
        self.scenario, self.results = scenario, results
        self.rows = [Row(name, kinds.get(name, "ours"), _spreads(one["samples"]), one["absent"])
                     for name, one in results.items()]
        keys = {key for row in self.rows for key in row.spreads}
        metrics = [metric for metric in scenario.metrics if metric.key in keys]
        self.metrics = metrics or list(scenario.metrics[:1])
        self.ranked = self.metrics[0]
        if scenario.kind != "growth":
            self.rows.sort(key=lambda row: self.median(row, math.inf))
        self.measured = [row for row in self.rows if row.spreads]
        self.ours = next((row for row in self.measured if row.name == "tenkay"), None)
        self.floor = self.best(lambda row: row.kind == "floor", self.ranked)
        self.peer = self.best(_is_peer, self.ranked)
        self.marks = [self._mark(metric) for metric in (self.ranked, BOTH, RATE)]
        waited = [row.spreads[WAITED.key].median for row in self.rows if WAITED.key in row.spreads]
        # A single server does not count: one with several threads on its core waits for itself.
        self.disturbed = bool(waited) and statistics.median(waited) > DISTURBED
        self.goal, self.met, self.finding = None, None, ""
        if scenario.kind == "growth":
            self._judge_series()
        elif scenario.goal:
            self._judge_servers()

    def median(self, row, missing=None):
        """The median of the ranked metric of a row."""
        return row.spreads[self.ranked.key].median if row and row.spreads else missing

    def best(self, is_wanted, metric):
        """The wanted row with the best median of a metric, or None."""
        rows = [row for row in self.rows if metric.key in row.spreads and is_wanted(row)]
        return min(rows, key=lambda row: metric.sign * row.spreads[metric.key].median, default=None)

    def nginx(self, metric):
        """The better of the two settings of nginx by a metric, or None."""
        return self.best(lambda row: row.name in NGINX, metric)

    def ratios(self, mine, other, metric):
        """The ratios of two rows in each round; empty if there are none."""
        if not mine or not other:
            return []
        pairs = zip(*(self.results[row.name]["samples"] for row in (mine, other)))
        key = metric.key
        return [a[key] / b[key] for a, b in pairs if a.get(key) and b.get(key)]

    def ratio(self, mine, other, metric=None):
        """The median of these ratios; None if there are none."""
        found = self.ratios(mine, other, metric or self.ranked)
        return statistics.median(found) if found else None

    def _mark(self, metric):
        found = self.ratios(self.ours, self.best(_is_peer, metric), metric)
        return mark([one**metric.sign for one in found])

    def point(self, line, x):
        """The row of a point of a series; None if it is missing."""
        return next((row for row in self.rows if row.name == point(line, x)), None)

    def curve(self, line, metric):
        """The measured points of one line as a list of (x, Spread), in order."""
        rows = [(x, self.point(line, x)) for x in self.scenario.points]
        return [(x, row.spreads[metric.key]) for x, row in rows if row and row.spreads]

    def _judge_servers(self):
        goal = self.scenario.goal
        self.goal, value = {
            "value": (f"≤ {self.ranked.text(goal.limit)}", self.median(self.ours)),
            "floor": (f"≤ {goal.limit:.2f} × floor", self.ratio(self.ours, self.floor)),
            "peer": (f"≤ {goal.limit:.2f} × best peer", self.ratio(self.ours, self.peer)),
        }[goal.against]
        self.met = None if value is None else value <= goal.limit

    def _judge_series(self):
        missing = [row.name for row in self.rows if not row.spreads]
        if missing or not self.rows:
            self.met = False
            self.finding = f"{UNKNOWN}: without {', '.join(missing) or 'any point'}"
            return
        rows = [(x, self.point(self.scenario.lines[0], x)) for x in self.scenario.points]
        points = [(x, [sample[self.ranked.key] for sample in self.results[row.name]["samples"]])
                  for x, row in rows if row]
        self.finding = "; ".join([*self._bound(points), *self._lines(), *self._slope(points)])

    def _bound(self, points):
        """The verdict on a series. A bound is exceeded if the median of the rounds exceeds it and
        most rounds agree; otherwise the difference is within the noise."""
        if goal := self.scenario.goal:
            text, form = RULES[goal.against]
            grown = steps(goal.against, points)
            verdict = max((_verdict(values, goal.limit) for _, values in grown),
                          key=(OK, NOISE, EXCEEDED).index)
            self.goal, self.met = text.format(goal.limit), verdict != EXCEEDED
            listed = [form.format(statistics.median(values), name) for name, values in grown]
            yield f"{verdict}: {', '.join(listed)}"

    def _slope(self, points):
        """The line through the points of a series, if it has a unit."""
        if self.scenario.each:
            xs, ys = zip(*((x, statistics.median(values)) for x, values in points))
            slope, start = statistics.linear_regression(xs, ys)
            yield f"{start:,.1f} µs + {slope:,.3f} µs per {self.scenario.each}"

    def _lines(self):
        """For each metric of a series with two lines, the second line divided by the first."""
        first, *others = self.scenario.lines
        for second, metric in ((line, metric) for line in others for metric in self.metrics):
            found = [(x, self.ratio(self.point(second, x), self.point(first, x), metric))
                     for x in self.scenario.points]
            listed = ", ".join(f"{one:.2f} at {x >> 10:,} KiB" for x, one in found if one)
            yield f"{metric.label}, {second} / {first}: {listed}"


def point(line, x):
    """The name of a point of a series."""
    return f"{line} {x}"


def _is_peer(row):
    return row.kind == "peer"


def _spreads(samples):
    figures = {key: [one[key] for one in samples if key in one] for one in samples for key in one}
    return {key: Spread(statistics.median(found), min(found), max(found))
            for key, found in figures.items()}


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


def _verdict(grown, limit):
    if statistics.median(grown) <= limit:
        return OK
    return EXCEEDED if sum(one > limit for one in grown) >= AGREE * len(grown) else NOISE


# The rules for series: the bound as text, and the form of a step in the finding.
RULES = {
    "share": ("at most +{:.0%} from the first point", "{:+.1%} at {}"),
    "absolute": ("at most +{} µs from the first point to the last", "{:+.2f} µs from {}"),
    "falling": ("no increase", "{:+.1%} at {}"),
    "linear": ("linear", "exponent {:.2f} from {}"),
}


def steps(rule, points):
    """The steps that a rule bounds, as a list of (name, figures of the rounds). `points` are (x,
    figures of the rounds)."""
    if rule == "linear":  # the exponent of each step: the cost grows as x to this power
        return [(f"{x:,} to {next_x:,}",
                 [math.log(b / a) / math.log(next_x / x) for a, b in zip(ones, others)])
                for (x, ones), (next_x, others) in zip(points, points[1:])]
    (least, lowest), (most, last) = points[0], points[-1]
    if rule == "absolute":  # the last point against the first
        return [(f"{least:,} to {most:,}", [b - a for a, b in zip(lowest, last)])]
    found = []  # each point against the first, or ("falling") against the lowest before it
    for x, values in points[1:]:
        found.append((f"{x:,}", [b / a - 1 for a, b in zip(lowest, values)]))
        if rule == "falling":
            lowest = min(lowest, values, key=statistics.median)
    return found
