"""The HTML page: one file, no external resource, light and dark. Pure: data in, text out."""

from html import escape
from pathlib import Path

from lib_compare import svg
from lib_compare.report import STYLE, facts
from lib_growth import judge, lines, table

MORE_STYLE = Path(__file__).with_name("growth.css")

# The CSS class and the sign of each mark: colour alone is not accessible.
MARKS = {
    judge.OK: ("won", "✓"),
    judge.NOISE: ("level", "≈"),
    judge.EXCEEDED: ("lost", "✗"),
    judge.UNKNOWN: ("lost", "?"),
    judge.NO_BOUND: ("level", "–"),
}

METHOD = """
<p>In each series one quantity grows and all others stay constant. The server is pinned to one
core, the load generator to another; the network is loopback. The points of a series are measured in
turn, round by round, so that a slow minute of the machine affects all of them equally. A dot is the
median of the rounds. The band around it and the small figures in the tables show the range from
minimum to maximum. Each response is checked before it is timed.</p>
<p><b>Server CPU</b> is the time that the server's thread spent on its core, kernel included
(<code>/proc/PID/task/*/schedstat</code>), divided by the number of answered requests, heads or
listings.</p>
<p>Two points are compared within each round. A bound is <b>exceeded</b> if the median of the
rounds and three quarters of the rounds exceed it; if fewer do, the difference is <b>within
noise</b>. A step from x to k·x is <b>linear</b> if the cost grows by at most a factor of
k<sup>1.1</sup>; quadratic growth has the exponent 2.</p>
"""


def page(meta, measured):
    """The whole page; `measured` is a list of (Series, data)."""
    machine = meta["machine"]
    style = STYLE.read_text() + MORE_STYLE.read_text()
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>How tenkay's cost grows</title>",
        f"<style>\n{style}</style></head><body>",
        "<h1>How tenkay's cost grows</h1>",
        f'<p class="soft subtitle">{escape(meta["date"])} · {escape(machine["processor"])} · '
        f'{escape(machine["system"])}</p>',
        "<p>How the server's CPU time per request depends on the number of connections, files, "
        "pipelined requests, ranges and bytes. <b>Lower and flatter is better.</b></p>",
        *[f'<p class="warning">{escape(text)}</p>' for text in meta["warnings"]],
        _overview(measured),
        "<h2>Series</h2>",
        *[_series(one, data) for one, data in measured],
        "<h2>Method</h2>",
        METHOD,
        "<h2>Machine and conditions</h2>",
        facts(meta),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _overview(measured):
    rows = []
    for one, data in measured:
        verdict = judge.judge(one, data)
        cells = [
            f'<a href="#{escape(one.name)}">{escape(one.title)}</a>',
            escape(one.bound),
            escape(verdict.finding),
            _mark(verdict.mark),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("series", "bound", "finding", "verdict"))
    return (
        f'<div class="scroll"><table class="overview"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _series(one, data):
    verdict = judge.judge(one, data)
    remarks = table.remarks(data, verdict)
    below = "".join(f'<p class="soft">{escape(text)}</p>' for text in remarks)
    return f"""<section class="scenario" id="{escape(one.name)}">
<header><h3>{escape(one.title)}</h3>
<p class="soft">{escape(one.about)}. Bound: {escape(one.bound)} {_mark(verdict.mark)}</p></header>
<div>{_charts(one, data)}</div>
<div class="scroll">{_table(one, data)}{below}</div>
</section>"""


def _charts(one, data):
    if not any(point["samples"] for point in data["points"]):
        return '<p class="soft">Nothing was measured.</p>'
    if one.scale == "names":
        return _bars(one, data)
    charts = []
    for metric in one.metrics[: one.drawn]:
        curves = [lines.Line(line, judge.curve(data, line, metric)) for line in one.lines]
        charts.append(lines.chart(
            f"{one.title}: {metric.label}", f"{metric.label}, {metric.unit}", one.axis,
            [curve for curve in curves if curve.points], one.write,
            log=one.scale == "log", steep=one.steep,
        ))
    return "\n".join(charts)


def _bars(one, data):
    """Bars for a series without an axis; the line marks one wakeup per request."""
    bars = []
    for line in one.lines:
        for x, value in judge.curve(data, line, one.judged):
            name = line if "request" in x else "idle"
            bars.append(svg.Bar(name, "ours", value, one.judged.write(value.median)))
    return svg.chart(f"{one.title}: {one.judged.label}", bars, 1.0, "one per request")


def _table(one, data):
    if not data["points"]:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in table.heads(one))
    rows = []
    for name, cells in table.rows(one, data):
        texts = [f"<td>{escape(value)}<small>{escape(more)}</small></td>" for value, more in cells]
        rows.append(f"<tr><td>{escape(name)}</td>{''.join(texts)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _mark(mark):
    style, sign = MARKS[mark]
    return f'<span class="mark {style}">{sign} {mark}</span>'
