"""Turns the samples of a scenario into spreads, ratios and marks. Pure functions."""

import statistics
from typing import NamedTuple, Optional

from lib_compare import metrics
from lib_compare.stats import Spread, judge, ratios, spread

# Servers that waited for their core for more than this share of their time were disturbed.
QUIET = 0.05


class Row(NamedTuple):
    """One server: the Spread of each metric by key, its ratios, or the reason for its absence."""

    name: str
    kind: str
    spreads: dict
    to_floor: Optional[float]
    to_peer: Optional[float]
    absent: Optional[str]


class Summary(NamedTuple):
    """One scenario: its rows, best first, and the result for tenkay.

    `mark` is 'won', 'lost' or 'level' against the best peer, or None if either is missing.
    `rate_mark` is the same for requests per second, `both_mark` for the CPU time of server + client
    (loads only). Each compares with the peer that is best by that metric.
    """

    scenario: object
    metrics: list
    rows: list
    best_peer: Optional[Row]
    mark: Optional[str]
    rate_mark: Optional[str]
    both_mark: Optional[str]
    goal: Optional[str]
    goal_met: Optional[bool]
    disturbed: bool

    @property
    def ranked(self):
        """The ranked metric."""
        return self.metrics[0]

    def find(self, kind):
        """The measured row of tenkay ('ours') or of the floor, or None."""
        for row in self.rows:
            if row.kind == kind and row.spreads:
                return row
        return None


def summarise(scenario, kinds, results):
    """The Summary of one scenario; `kinds` maps the names of the servers to their kinds."""
    shown = _present(scenario, results)
    key = shown[0].key
    spreads = {name: _spreads(result["samples"]) for name, result in results.items()}
    floor = _best(spreads, kinds, "floor", key)
    best = _best(spreads, kinds, "peer", key)
    rows = []
    for name, result in results.items():
        mine = spreads[name]
        rows.append(
            Row(
                name,
                kinds[name],
                mine,
                _ratio(results, name, floor, key),
                _ratio(results, name, best, key),
                result["absent"],
            )
        )
    rows.sort(key=lambda row: (not row.spreads, row.spreads[key].median if row.spreads else 0))
    ours = next((row for row in rows if row.kind == "ours" and row.spreads), None)
    peer = next((row for row in rows if row.name == best), None)
    goal, goal_met = _goal(scenario, ours, shown[0])
    return Summary(
        scenario,
        shown,
        rows,
        peer,
        _mark(results, ours, peer, key),
        _mark_by(metrics.WALL, results, ours, rows),
        _mark_by(metrics.BOTH, results, ours, rows),
        goal,
        goal_met,
        _disturbed(rows),
    )


def _present(scenario, results):
    """The metrics of the scenario that were measured: without /proc there is no CPU time."""
    measured = {key for result in results.values() for s in result["samples"] for key in s}
    shown = [metric for metric in scenario.metrics if metric.key in measured]
    if scenario.kind == "load" and metrics.CPU not in shown and measured:
        shown.insert(0, metrics.WALL)
    return shown or list(scenario.metrics)


def _spreads(samples):
    if not samples:
        return {}
    return {key: spread([sample[key] for sample in samples]) for key in samples[0]}


def _best(spreads, kinds, kind, key):
    """The name of the measured server of this kind with the smallest median, or None."""
    names = [name for name, mine in spreads.items() if mine and kinds[name] == kind]
    return min(names, key=lambda name: spreads[name][key].median, default=None)


def _pairs(results, mine, other, key):
    """The ratios of two servers, round by round."""
    ours, theirs = ([s[key] for s in results[name]["samples"]] for name in (mine, other))
    return ratios(ours, theirs)


def _ratio(results, mine, other, key):
    """The median of the ratios; None if there are none."""
    found = _pairs(results, mine, other, key) if other is not None else []
    return statistics.median(found) if found else None


def _mark(results, ours, peer, key):
    found = _pairs(results, ours.name, peer.name, key) if ours and peer else []
    return judge(found) if found else None


def _goal(scenario, ours, ranked):
    """The goal as text, and whether it is met (None: unknown)."""
    goal = scenario.goal
    if goal is None:
        return None, None
    if goal.against == "value":
        text = f"≤ {ranked.text(goal.limit)}"
        value = ours.spreads[ranked.key].median if ours else None
    elif goal.against == "floor":
        text = f"≤ {goal.limit:.2f} × floor"
        value = ours.to_floor if ours else None
    else:
        text = f"≤ {goal.limit:.2f} × best peer"
        value = ours.to_peer if ours else None
    return text, None if value is None else value <= goal.limit


def _mark_by(metric, results, ours, rows):
    """The mark of tenkay against the best peer by this metric."""
    key = metric.key
    peers = [row for row in rows if row.kind == "peer" and key in row.spreads]
    if ours is None or key not in ours.spreads or not peers:
        return None
    best = min(peers, key=lambda row: row.spreads[key].median)
    return _mark(results, ours, best, key)


def _disturbed(rows):
    """Whether most of the servers waited for their core, because other processes used it.

    A single server does not count: one with several threads on its core waits for itself.
    """
    key = metrics.WAITED.key
    waited = [row.spreads[key].median for row in rows if key in row.spreads]
    middle = spread(waited)
    return middle is not None and middle.median > QUIET


def tally(summaries):
    """The number of scenarios by mark."""
    marks = [summary.mark for summary in summaries]
    return {mark: marks.count(mark) for mark in ("won", "level", "lost")}


def range_text(metric, value):
    """The range of a Spread as text; empty for a single sample."""
    assert isinstance(value, Spread)
    if value.low == value.high:
        return ""
    return f"{metric.write(value.low)} – {metric.write(value.high)}"
