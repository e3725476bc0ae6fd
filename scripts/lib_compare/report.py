"""The tables in the terminal, the tables of the documents, and the HTML page: one file, no external
resource, light and dark. Pure: summaries in, text out."""

import re
from html import escape
from pathlib import Path

from lib_compare import charts, judge
from lib_compare.scenarios import BOTH, CPU, RATE

STYLE = Path(__file__).with_name("report.css")

MARKS = {"won": "✓ won", "lost": "✗ lost", "level": "= level"}

METHOD = """
<p>All servers serve the same folder over loopback. Servers are pinned to one core, the load
generator to another. Rounds are interleaved (A&nbsp;B&nbsp;C&nbsp;A&nbsp;B&nbsp;C), so that a slow
minute of the machine affects all servers equally. Tables show the median of the rounds and the
range from minimum to maximum. Before a server is timed, it must answer the requests of the load
with the right status, length and bytes. A run in which the load generator reports any error does
not count.</p>
<p><b>Server CPU per request</b> is the time that all threads of the server's processes spent on
their core, kernel included (<code>/proc/PID/task/*/schedstat</code>), divided by the number of
requests. Servers are ranked by it and not by requests per second, because the load generator is
slower than a fast server.</p>
<p><b>CPU of server + client</b> adds the CPU time of the load generator. For large files on
loopback, either figure alone is misleading: TCP sends queued data when an acknowledgement arrives,
and on loopback this runs on the receiver's core and is charged to the receiver. Over a real
network, acknowledgements arrive at the server.</p>
<p>The <b>floor</b> parses nothing: it is an event loop that answers each receive with one send of a
constant response of the same length. Its cost is the kernel's share, and with TLS that of the
library. It is left out where it is no lower bound: it copies large files, which sendfile avoids,
and it does not defer accepting.</p>
<p><b>Latency</b> is measured at a fixed rate of requests, which do not wait for earlier responses,
so that a stall shows in every request that it delays. <b>Beside a greedy client</b>, another
connection downloads a large file repeatedly, or pipelines small requests continuously, with the
lowest scheduling priority (SCHED_IDLE).</p>
<p><b>User memory</b> is the growth of the proportional set size (PSS) of the server's processes,
divided by the number of connections, each after one response. It does not include memory that a
server reserves at start (see start-up), nor the kernel's memory for a socket, which is the same for
all servers.</p>
<p><b>Ratios</b> are computed within each round, and the median is shown. <b>Won</b> and <b>lost</b>
compare with the best peer of the scenario. They require a median ratio at least 2&nbsp;% from 1
(10&nbsp;% with a single round) and three quarters of the rounds on the same side. Everything else
is <b>level</b>.</p>
<p>In a <b>series</b> one quantity grows and all others stay constant. A dot is the median of the
rounds, the band their range. A bound is exceeded if the median of the rounds and three quarters of
them exceed it; if fewer do, the difference is within the noise. A step from x to k·x is
<b>linear</b> if the cost grows by at most a factor of k<sup>1.1</sup>; quadratic growth has the
exponent 2.</p>
"""


def number(value):
    """A ratio."""
    return "–" if value is None else f"{value:.2f}"


def count(value):
    """A point of a series."""
    return f"{value >> 10:,} Ki" if value >= 1024 and value % 1024 == 0 else f"{value:,}"


def range_text(metric, spread):
    """The range of a Spread as text; empty for a single sample."""
    if spread.low == spread.high:
        return ""
    return f"{metric.write(spread.low)} – {metric.write(spread.high)}"


def table(summary):
    """The headings and rows of one scenario: lists of cells."""
    if summary.scenario.kind == "growth":
        return _series_table(summary)
    ranked, *others = summary.metrics
    found = [["server", ranked.head, "min – max", "× floor", "× best peer",
              *[metric.head for metric in others]]]
    for row in summary.rows:
        if row.spreads:
            value = row.spreads[ranked.key]
            found.append([row.name, ranked.write(value.median), range_text(ranked, value),
                          number(row.to_floor), number(row.to_peer)])
            spreads = [(metric, row.spreads.get(metric.key)) for metric in others]
            found[-1] += [metric.write(one.median) if one else "–" for metric, one in spreads]
    return found


def _series_table(summary):
    """One row for each point; for each line and metric, the figure and its range."""
    scenario = summary.scenario
    columns = [(line, metric) for metric in summary.metrics for line in scenario.lines]
    heads = [metric.head if len(scenario.lines) == 1 else f"{line}: {metric.head}"
             for line, metric in columns]
    found = [[scenario.axis, *[text for head in heads for text in (head, "min – max")]]]
    curves = [(metric, dict(judge.curve(summary, line, metric))) for line, metric in columns]
    for x in scenario.points:
        cells = [(metric.write(curve[x].median), range_text(metric, curve[x]))
                 if x in curve else ("–", "") for metric, curve in curves]
        found.append([count(x), *[text for cell in cells for text in cell]])
    return found


def results(summary):
    """The marks and the goal of a scenario, as texts."""
    parts = []
    if summary.mark:
        parts.append(f"against {summary.best_peer.name}: {summary.mark}")
        parts += [f"{name}: {mark}" for name, mark in (
            ("server + client", summary.both_mark), ("requests/s", summary.rate_mark)) if mark]
    if summary.goal:
        met = {None: "", True: ": met", False: ": MISSED"}[summary.goal_met]
        parts.append(f"goal {summary.goal}{met}")
    parts += [summary.finding] if summary.finding else []
    parts += ["DISTURBED: the servers waited for their core"] if summary.disturbed else []
    return parts


def absent(summary):
    """Why servers are absent."""
    return [f"{row.name}: {row.absent}" for row in summary.rows if row.absent]


def text(summary):
    """One scenario for the terminal."""
    title = f"{summary.scenario.name}: {summary.scenario.title}"
    lines = [title, "-" * len(title), align(table(summary))]
    lines += [f"  {line}" for line in absent(summary)]
    return "\n".join([*lines, "; ".join(results(summary))]).rstrip() + "\n"


def align(lines):
    """Columns as wide as their widest cell; the first left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.rjust(width) if i else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    )


def overview(summaries):
    """All scenarios in one table, for tenkay: lists of cells."""
    found = [["scenario", "tenkay", "floor", "× floor", "best peer", "× best peer", "mark",
              "server + client", "requests/s", "goal"]]
    for one in summaries:
        ours, floor, peer = one.find("ours"), one.find("floor"), one.best_peer
        metric = one.metrics[0]
        values = [metric.text(row.spreads[metric.key].median) if row else "–"
                  for row in (ours, floor, peer)]
        goal = f"{one.goal}: {({None: '?', True: 'met', False: 'MISSED'})[one.goal_met]}"
        found.append([
            one.scenario.name, values[0], values[1], number(ours and ours.to_floor),
            f"{peer.name} {values[2]}" if peer else "–", number(ours and ours.to_peer),
            *[mark or "–" for mark in (one.mark, one.both_mark, one.rate_mark)],
            goal if one.goal else "–",
        ])
    return found


def summary_line(summaries, failed):
    """The last line: what was measured, and the verdict. `failed` names the scenarios in which
    tenkay could not be measured."""
    marks = [one.mark for one in summaries]
    counts = ", ".join(f"{marks.count(mark)} {mark}" for mark in ("won", "level", "lost"))
    against = f"{counts} against the best peer" if any(marks) else "no peer measured"
    met = [one.goal_met for one in summaries if one.goal_met is not None]
    verdict = f"FAILED: tenkay could not be measured in {', '.join(failed)}" if failed else "ok"
    return (f"compare: {verdict}; scenarios: {len(summaries)}; {against}; "
            f"goals met: {sum(met)} of {len(met)}")


# The tables of the documents: what is between these lines is replaced.
BEGIN = re.compile(r"<!-- figures(?P<short> short)?(?: (?P<network>\w+))?: (?P<names>.*) -->\n")
END = "<!-- end of figures -->"


def publish(document, runs):
    """The document with its tables made anew. `runs` is a list of (congestion control, conditions,
    summaries by name); a later run replaces an earlier one. A table without a measured row stays as
    it is."""
    parts, at = [], 0
    while found := BEGIN.search(document, at):
        end = document.index(END, found.end())
        known = {name: (one, conditions) for network, conditions, summaries in runs
                 for name, one in summaries.items() if found["network"] in (None, network)}
        rows = [known[name] for name in found["names"].split() if name in known]
        parts.append(document[at : found.end()])
        if rows:
            parts.append(markdown([one for one, _ in rows], found["short"]))
            # A short table has rows of several runs: it names the conditions of the first.
            conditions = list(dict.fromkeys(conditions for _, conditions in rows))
            parts += [f"\n({'; '.join(conditions[:1] if found['short'] else conditions)})\n"]
        else:
            parts.append(document[found.end() : end])
        at = end
    return "".join([*parts, document[at:]])


def markdown(summaries, short=False):
    """A table with the ratios to each server; nginx is the better of its settings."""
    peers = ["h2o"] if short else ["h2o", "caddy"]
    titles = {"h2o": "H2O", "caddy": "Caddy"}
    heads = ["", "CPU, us", "/ floor", "/ nginx", *[f"/ {titles[name]}" for name in peers]]
    heads += [] if short else ["server + client, / nginx", "requests/s, / nginx"]
    lines = [heads, ["---"] * len(heads)]
    for one in summaries:
        ours = one.find("ours")
        if ours is None or CPU.key not in ours.spreads:
            continue
        nginx = _nginx(one, CPU.key)
        cells = [one.scenario.title, CPU.write(ours.spreads[CPU.key].median),
                 _against(one, "floor", CPU.key), _against(one, nginx, CPU.key, bold=True)]
        cells += [_against(one, name, CPU.key) for name in peers]
        if not short:
            cells.append(_against(one, _nginx(one, BOTH.key), BOTH.key))
            cells.append(_against(one, _nginx(one, RATE.key, -1), RATE.key))
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _nginx(summary, key, sign=1):
    names = ("nginx", "nginx-copy")
    rows = [row for row in summary.rows if row.name in names and key in row.spreads]
    best = min(rows, key=lambda row: sign * row.spreads[key].median, default=None)
    return best.name if best else None


def _against(summary, name, key, bold=False):
    value = judge.ratio(summary.results, summary.find("ours").name, name, key)
    if value is None:
        return ""
    return f"**{value:.2f}**" if bold and value < 1 else f"{value:.2f}"


# The HTML page.


def page(meta, summaries, servers):
    """The whole report. `meta` maps names to texts, `servers` is a list of mappings with the
    name, title, version and settings of each server."""
    machine = meta["machine"]
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>tenkay, compared</title><style>\n{STYLE.read_text()}</style></head><body>",
        "<h1>tenkay, compared</h1>",
        f'<p class="soft subtitle">{escape(meta["date"])} · {escape(machine["processor"])} · '
        f'{escape(machine["system"])}</p>',
        "<p>CPU time and latency of a request and memory of a connection, compared with other "
        "servers at their best settings. <b>Smaller is better in every chart.</b></p>",
        *[f'<p class="warning">{escape(line)}</p>' for line in warnings(meta, summaries)],
        _tally(summaries), _overview(summaries), "<h2>Scenarios</h2>",
        *[_scenario(one) for one in summaries], "<h2>Method</h2>", METHOD,
        "<h2>Machine and conditions</h2>", _facts(meta), "<h2>Servers and their settings</h2>",
        *[_server(server) for server in servers], "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def warnings(meta, summaries):
    """What a reader must know first."""
    found = list(meta["warnings"])
    disturbed = ", ".join(one.scenario.name for one in summaries if one.disturbed)
    if disturbed:
        found.append(f"The machine was busy: in {disturbed} the servers waited for their core. Use "
                     "only the ratios of these scenarios, with caution.")
    failed = [f"{one.scenario.name} ({row.absent})" for one in summaries for row in one.rows
              if row.name == "tenkay" and row.absent]
    return found + ([f"tenkay could not be measured in {', '.join(failed)}."] if failed else [])


def _tally(summaries):
    marks = [one.mark for one in summaries]
    met = [one.goal_met for one in summaries if one.goal_met is not None]
    cells = [f'<div class="{mark}"><b>{marks.count(mark)}</b> {mark}</div>' for mark in MARKS]
    cells.append(f"<div><b>{sum(met)}</b> of {len(met)} goals met</div>")
    return f'<div class="tally">{"".join(cells)}</div>'


def _overview(summaries):
    head, *rows = overview(summaries)
    for one, row in zip(summaries, rows):
        row[:] = map(escape, row)
        row[0] = (f'<a href="#{escape(one.scenario.name)}">{escape(one.scenario.title)}</a>'
                  f'<small class="soft">{escape(one.metrics[0].label)}</small>')
        row[6:9] = map(_mark, (one.mark, one.both_mark, one.rate_mark))
        words = {None: ("", ""), True: ("met", "won"), False: ("missed", "lost")}
        word, style = words[one.goal_met]
        row[9] = f'{escape(one.goal or "–")} <span class="mark {style}">{word}</span>'
    return f'<div class="scroll">{_html(head, rows, "overview")}</div>'


def _html(head, rows, style="", kinds=()):
    """A table; the cells are HTML already."""
    heads = "".join(f"<th>{cell}</th>" for cell in head)
    kinds = [*kinds] or [""] * len(rows)
    body = "".join(f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
                   for kind, row in zip(kinds, rows))
    return f'<table class="{style}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'


def _scenario(summary):
    scenario, metric = summary.scenario, summary.metrics[0]
    measured = [row for row in summary.rows if row.spreads]
    head, *rows = [[escape(cell) for cell in line] for line in table(summary)]
    subject = f"{metric.label[0].upper()}{metric.label[1:]}"
    subject += f", {metric.unit}" if metric.unit else ""
    if scenario.kind not in ("start", "supervisor"):
        subject += f" · {scenario.connections:,} connections"
    subject = " · ".join([subject, *results(summary)])
    below = "".join(f'<p class="soft">{escape(line)}</p>' for line in absent(summary))
    picture = '<p class="soft">Nothing was measured.</p>'
    if scenario.kind == "growth" and measured:
        picture = "\n".join(_lines(summary, one) for one in summary.metrics[:2])
        # A figure and its range share a cell, so that the table stays narrow.
        head = [head[0], *head[1::2]]
        rows = [[row[0], *[f'{value}<small class="range">{more}</small>'
                           for value, more in zip(row[1::2], row[2::2])]] for row in rows]
    elif measured:
        picture = _bars(summary, measured)
    style, kinds = "", [row.kind for row in measured]
    if scenario.kind == "growth":
        style, kinds = "series", []
    return f"""<section class="scenario" id="{escape(scenario.name)}">
<header><h3>{escape(scenario.title)}</h3><p class="soft">{escape(subject)}</p></header>
<div>{picture}</div>
<div class="scroll">{_html(head, rows, style, kinds)}{below}</div>
</section>"""


def _bars(summary, measured):
    metric, floor = summary.metrics[0], summary.find("floor")
    values = [(row, row.spreads[metric.key]) for row in measured]
    some = [charts.Bar(row.name, row.kind, one, metric.write(one.median)) for row, one in values]
    value = floor.spreads[metric.key].median if floor else None
    label = f"floor {metric.write(value)}" if floor else ""
    return charts.bars(f"{summary.scenario.title}: {metric.label}", some, value, label)


def _lines(summary, metric):
    scenario = summary.scenario
    curves = {line: judge.curve(summary, line, metric) for line in scenario.lines}
    curves = {line: points for line, points in curves.items() if points}
    return charts.lines(f"{scenario.title}: {metric.label}", f"{metric.label}, {metric.unit}",
                        scenario.axis, curves, count, log=scenario.log, steep=scenario.steep)


def _facts(meta):
    known = {**meta["machine"], **meta["tools"], "command": meta["command"], **meta["plan"]}
    cells = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in known.items()]
    return f"<dl>{''.join(cells)}</dl>"


def _server(server):
    more = "".join(f" · {escape(part)}" for part in (server["title"], server["version"]) if part)
    return (f"<details><summary><b>{escape(server['name'])}</b>{more}</summary>"
            f"<pre>{escape(server['settings'])}</pre></details>")


def _mark(mark):
    return f'<span class="mark {mark}">{MARKS[mark]}</span>' if mark else "–"
