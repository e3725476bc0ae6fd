"""The tables in the terminal, the tables of the documents, and the HTML page: one file, no external
resource, light and dark. Pure: summaries in, text out."""

import re
import statistics
from html import escape
from pathlib import Path

from lib_compare import charts
from lib_compare.scenarios import BOTH, CPU, RATE

STYLE = Path(__file__).with_name("report.css")

MARKS = {"won": "✓ won", "level": "= level", "lost": "✗ lost"}
MET = {None: "", True: "met", False: "MISSED"}

# A bar longer than this many typical ones is cut and marked, so that the others stay readable.
CUT = 3.0

METHOD = """
<p>All servers serve the same folder over loopback. Servers are pinned to one core, the load
generator to another. Rounds are interleaved (A&nbsp;B&nbsp;C&nbsp;A&nbsp;B&nbsp;C), so that a slow
minute of the machine affects all servers equally. Tables show the median of the rounds and the
range from minimum to maximum. Before a server is timed, it must answer the requests of the load
with the right status, length and bytes. A run with any error does not count.</p>
<p><b>Server CPU per request</b> is the time that all threads of the server's processes spent on
their core, kernel included, divided by the number of requests. Servers are ranked by it and not by
requests per second, because the load generator is slower than a fast server. <b>CPU of server +
client</b> adds the load generator. For large files on loopback, either figure alone is misleading:
TCP sends queued data when an acknowledgement arrives, and charges the receiver for it.</p>
<p>The <b>floor</b> parses nothing: it answers each receive with one send of a constant response of
the same length. Its cost is the kernel's share, and with TLS that of the library. It is left out
where it is no lower bound.</p>
<p><b>Latency</b> is measured at a fixed rate of requests, which do not wait for earlier responses,
so that a stall shows in every request that it delays. <b>User memory</b> of a connection is the
growth of the proportional set size (PSS) of the server's processes.</p>
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


def figure(metric, spread):
    """The median, with the range from minimum to maximum if there are several samples."""
    if spread is None:
        return "–"
    median, low, high = map(metric.write, spread)
    return median if spread.low == spread.high else f"{median} ({low}–{high})"


def table(summary):
    """The headings and rows of one scenario: lists of cells."""
    if summary.scenario.kind == "growth":
        return _series_table(summary)
    ranked, *others = summary.metrics
    found = [["server", ranked.head, "× floor", "× best peer", *[one.head for one in others]]]
    for row in summary.measured:
        ratios = (summary.ratio(row, other) for other in (summary.floor, summary.peer))
        spreads = [(metric, row.spreads.get(metric.key)) for metric in others]
        found.append([row.name, figure(ranked, row.spreads[ranked.key]), *map(number, ratios),
                      *[metric.write(one.median) if one else "–" for metric, one in spreads]])
    return found


def _series_table(summary):
    """One row for each point, with the figure of each line and metric."""
    scenario = summary.scenario
    columns = [(line, metric) for metric in summary.metrics for line in scenario.lines]
    heads = [metric.head if len(scenario.lines) == 1 else f"{line}: {metric.head}"
             for line, metric in columns]
    curves = [(metric, dict(summary.curve(line, metric))) for line, metric in columns]
    return [[scenario.axis, *heads],
            *[[count(x), *[figure(metric, curve.get(x)) for metric, curve in curves]]
              for x in scenario.points]]


def results(summary):
    """The marks and the goal of a scenario, as texts."""
    names = (f"against {summary.peer and summary.peer.name}", "server + client", "requests/s")
    parts = [f"{name}: {mark}" for name, mark in zip(names, summary.marks) if mark]
    if summary.goal:
        parts.append(f"goal {summary.goal}: {MET[summary.met]}".removesuffix(": "))
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


def verdict(summaries):
    """The numbers of marks and of goals met, as text."""
    marks = [one.marks[0] for one in summaries]
    met = [one.met for one in summaries if one.met is not None]
    counts = ", ".join(f"{marks.count(mark)} {mark}" for mark in MARKS)
    against = f"{counts} against the best peer" if any(marks) else "no peer measured"
    return f"scenarios: {len(summaries)}; {against}; goals met: {sum(met)} of {len(met)}"


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
    lines = [["", "CPU, us", "/ floor", "/ nginx", "/ H2O"]]
    if not short:
        lines[0] += ["/ Caddy", "server + client, / nginx", "requests/s, / nginx"]
    lines.append(["---"] * len(lines[0]))
    for one in summaries:
        ours, rows = one.ours, {row.name: row for row in one.rows}
        if ours is None or CPU.key not in ours.spreads:
            continue
        ratios = [one.ratio(ours, rows.get("floor"), CPU), one.ratio(ours, one.nginx(CPU), CPU),
                  *[one.ratio(ours, rows.get(name), CPU) for name in ("h2o", "caddy")],
                  *[one.ratio(ours, one.nginx(metric), metric) for metric in (BOTH, RATE)]]
        cells = ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        if cells[1] and ratios[1] < 1:
            cells[1] = f"**{cells[1]}**"
        cpu = CPU.write(ours.spreads[CPU.key].median)
        lines.append([one.scenario.title, cpu, *cells][: len(lines[0])])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


# The HTML page.


def page(meta, summaries, servers):
    """The whole report. `meta` maps names to texts, `servers` is a list of mappings with the
    name, title, version and settings of each server."""
    machine = meta["machine"]
    facts = {**machine, **meta["tools"], "command": meta["command"], **meta["plan"]}
    listed = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()]
    warnings = [f'<p class="warning">{escape(line)}</p>' for line in meta["warnings"]]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tenkay, compared</title><style>
{STYLE.read_text()}</style></head><body>
<h1>tenkay, compared</h1>
<p class="soft subtitle">{escape(meta["date"])} · {escape(machine["processor"])} ·
{escape(machine["system"])}</p>
<p>CPU time and latency of a request and memory of a connection, compared with other servers at
their best settings. <b>Smaller is better in every chart.</b></p>
{"".join(warnings)}<p><b>{escape(verdict(summaries).capitalize())}</b></p>
{_overview(summaries)}
<h2>Scenarios</h2>
{"".join(map(_scenario, summaries))}
<h2>Method</h2>{METHOD}
<h2>Machine and conditions</h2><dl>{"".join(listed)}</dl>
<h2>Servers and their settings</h2>
{"".join(map(_server, servers))}
</body></html>
"""


def _overview(summaries):
    """All scenarios in one table, for tenkay."""
    head = ["scenario", "tenkay", "floor", "× floor", "best peer", "× best peer", "mark",
            "server + client", "requests/s", "goal"]
    rows = []
    for one in summaries:
        ours, floor, peer = (one.ranked.text(one.median(row)) if row else "–"
                             for row in (one.ours, one.floor, one.peer))
        met = MET[one.met]
        rows.append([
            f'<a href="#{one.scenario.name}">{escape(one.scenario.title)}</a>'
            f'<small class="soft">{escape(one.ranked.label)}</small>',
            ours, floor, number(one.ratio(one.ours, one.floor)),
            f"{one.peer.name} {peer}" if one.peer else "–", number(one.ratio(one.ours, one.peer)),
            *[f'<span class="mark {mark}">{MARKS[mark]}</span>' if mark else "–"
              for mark in one.marks],
            f'{escape(one.goal or "–")} <span class="mark {met}">{met}</span>',
        ])
    return _html(head, rows, "overview")


def _html(head, rows, style, kinds=()):
    """A table; the cells are HTML already."""
    heads = "".join(f"<th>{cell.replace('× ', '×&nbsp;')}</th>" for cell in head)
    kinds = kinds or [""] * len(rows)
    body = "".join(f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
                   for kind, row in zip(kinds, rows))
    return (f'<div class="scroll"><table class="{style}"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>")


def _scenario(summary):
    scenario, metric = summary.scenario, summary.ranked
    subject = [f"{metric.label[0].upper()}{metric.label[1:]}, {metric.unit}".removesuffix(", ")]
    if scenario.kind != "start":
        subject.append(f"{scenario.connections:,} connections")
    head, *rows = [[re.sub(r"\((.*)\)", r'<small class="soft">\1</small>', escape(cell))
                    for cell in line] for line in table(summary)]
    if not summary.measured:
        body = '<p class="soft">Nothing was measured.</p>'
    elif scenario.kind == "growth":
        body = (f'<div class="series"><div>{"".join(_charts(summary))}</div>'
                f'{_html(head, rows, "points")}</div>')
    else:
        rows = [[row[0], bar, *row[1:]] for row, bar in zip(rows, _bars(summary))]
        kinds = [row.kind for row in summary.measured]
        body = _html([head[0], "", *head[1:]], rows, "servers", kinds)
    below = "".join(f'<p class="soft">{escape(line)}</p>' for line in absent(summary))
    return f"""<section class="scenario" id="{escape(scenario.name)}">
<h3>{escape(scenario.title)}</h3>
<p class="soft">{escape(" · ".join([*subject, *results(summary)]))}</p>
{body}{below}</section>
"""


def _bars(summary):
    """A bar for each row, with a whisker from minimum to maximum."""
    spreads = [row.spreads[summary.ranked.key] for row in summary.measured]
    typical = statistics.median(one.median for one in spreads)
    limit = min(max(one.high for one in spreads), CUT * typical) or 1
    for one in spreads:
        low, middle, high = (min(100 * max(value, 0) / limit, 100)
                             for value in (one.low, one.median, one.high))
        cut = " cut" if one.median > limit else ""
        yield (f'<div class="bar{cut}"><i style="width:{middle:.1f}%"></i>'
               f'<s style="left:{low:.1f}%;width:{high - low:.1f}%"></s></div>')


def _charts(summary):
    """A chart of a series for each metric."""
    scenario = summary.scenario
    for metric in summary.metrics:
        curves = {line: summary.curve(line, metric) for line in scenario.lines}
        yield charts.lines(
            f"{scenario.title}: {metric.label}", f"{metric.label}, {metric.unit}", scenario.axis,
            {line: points for line, points in curves.items() if points}, count)


def _server(server):
    more = "".join(f" · {escape(part)}" for part in (server["title"], server["version"]) if part)
    return (f"<details><summary><b>{escape(server['name'])}</b>{more}</summary>"
            f"<pre>{escape(server['settings'])}</pre></details>")
