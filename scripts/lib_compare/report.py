"""The HTML report: one file, no external resource, light and dark. Pure: data in, text out."""

from html import escape
from pathlib import Path

from lib_compare import svg
from lib_compare.verdicts import range_text, tally

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
and on loopback this runs on the receiver's core and is charged to the receiver. If the clients keep
a small receive window, the server is charged little, although the total cost is higher and the
throughput lower. nginx has this effect, because it sends the response head in a separate segment.
Over a real network, acknowledgements arrive at the server.</p>
<p>The <b>floor</b> parses nothing: it is an event loop that answers each receive with one send of a
constant response of the same length. Its cost is the kernel's share. It is left out where it is no
lower bound: it copies large files, which sendfile avoids, and it does not defer accepting.</p>
<p><b>Latency</b> is measured with an open loop: requests are due at a fixed rate, and the latency
of each is measured from its due time, so that a stall shows in every request that it delays.
<b>Beside a greedy client</b>, another connection downloads a large file repeatedly, or pipelines
small requests continuously, with the lowest scheduling priority (SCHED_IDLE). The load generator is
a Python program on its own core, and its jitter is part of every figure: compare with the
floor's.</p>
<p><b>User memory</b> is the growth of the proportional set size (PSS) of the server's processes,
divided by the number of connections, each after one response. It does not include memory that a
server reserves at start (see start-up), nor the kernel's memory for a socket, which is the same for
all servers.</p>
<p><b>Ratios</b> are computed within each round, and the median is shown: a slow phase of the
machine affects all servers of a round. <b>Won</b> and <b>lost</b> compare with the best peer of the
scenario. They require a median ratio at least 2&nbsp;% from 1 (10&nbsp;% with a single round) and
three quarters of the rounds on the same side. Everything else is <b>level</b>.</p>
"""


def page(meta, summaries, servers):
    """The whole report. `meta` maps names to texts, `servers` is a list of mappings with the
    name, title, version and settings of each server."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>tenkay, compared</title>",
        f"<style>\n{STYLE.read_text()}</style></head><body>",
        "<h1>tenkay, compared</h1>",
        f'<p class="soft subtitle">{escape(meta["date"])} · '
        f'{escape(meta["machine"]["processor"])} · {escape(meta["machine"]["system"])}</p>',
        "<p>CPU time and latency of a request and memory of a connection, compared with other "
        "servers at their best settings. <b>Smaller is better in every chart.</b></p>",
        _warnings(meta, summaries),
        _tally(summaries),
        _overview(summaries),
        "<h2>Scenarios</h2>",
        *[_scenario(summary) for summary in summaries],
        "<h2>Method</h2>",
        METHOD,
        "<h2>Machine and conditions</h2>",
        facts(meta),
        "<h2>Servers and their settings</h2>",
        *[_server(server) for server in servers],
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _warnings(meta, summaries):
    warnings = list(meta["warnings"])
    disturbed = [summary.scenario.name for summary in summaries if summary.disturbed]
    if disturbed:
        warnings.append(
            "The machine was busy: in " + ", ".join(disturbed) + " the servers waited for their "
            "core. Use only the ratios of these scenarios, with caution."
        )
    failed = [
        f"{summary.scenario.name} ({row.absent})"
        for summary in summaries
        for row in summary.rows
        if row.kind == "ours" and row.absent
    ]
    if failed:
        warnings.append("tenkay could not be measured in " + ", ".join(failed) + ".")
    return "\n".join(f'<p class="warning">{escape(text)}</p>' for text in warnings)


def _tally(summaries):
    counts = tally(summaries)
    if not any(counts.values()):
        return ""
    met = [summary.goal_met for summary in summaries if summary.goal_met is not None]
    cells = [
        f'<div class="{mark}"><b>{count}</b> {mark}</div>' for mark, count in counts.items()
    ]
    cells.append(f"<div><b>{sum(met)}</b> of {len(met)} goals met</div>")
    return f'<div class="tally">{"".join(cells)}</div>'


def _overview(summaries):
    names = ["scenario", "tenkay", "floor", "× floor", "best peer", "× best peer"]
    names += ["mark", "server + client", "requests/s", "goal"]
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = []
    for summary in summaries:
        ours, floor, peer = summary.find("ours"), summary.find("floor"), summary.best_peer
        cells = [
            f'<a href="#{escape(summary.scenario.name)}">{escape(summary.scenario.title)}</a>'
            f'<small class="soft">{escape(summary.ranked.label)}</small>',
            _value(summary, ours),
            _value(summary, floor),
            _ratio(ours.to_floor if ours else None),
            f"{_value(summary, peer)} <small>{escape(peer.name)}</small>" if peer else "–",
            _ratio(ours.to_peer if ours else None),
            _mark(summary.mark),
            _mark(summary.both_mark),
            _mark(summary.rate_mark),
            _goal(summary),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        f'<div class="scroll"><table class="overview"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _scenario(summary):
    scenario, ranked = summary.scenario, summary.ranked
    measured = [row for row in summary.rows if row.spreads]
    floor = summary.find("floor")
    picture = '<p class="soft">Nothing was measured.</p>'
    if measured:
        bars = [
            svg.Bar(
                row.name,
                row.kind,
                row.spreads[ranked.key],
                ranked.write(row.spreads[ranked.key].median),
            )
            for row in measured
        ]
        value = floor.spreads[ranked.key].median if floor else None
        label = f"floor {ranked.write(value)}" if floor else ""
        picture = svg.chart(f"{scenario.title}: {ranked.label}", bars, value, label)
    return f"""<section class="scenario" id="{escape(scenario.name)}">
<header><h3>{escape(scenario.title)}</h3>
<p class="soft">{_subject(summary)}{_results(summary)}</p></header>
<div>{picture}</div>
<div class="scroll">{_table(summary, measured)}{_absent(summary)}</div>
</section>"""


def _subject(summary):
    label, scenario = summary.ranked.label, summary.scenario
    text = escape(f"{label[0].upper()}{label[1:]}, {summary.ranked.unit}")
    return text + (f" · {scenario.connections:,} connections" if scenario.kind != "start" else "")


def _results(summary):
    parts = []
    if summary.mark:
        parts.append(f"{_mark(summary.mark)} against {escape(summary.best_peer.name)}")
    if summary.both_mark:
        parts.append(f"CPU of server + client {_mark(summary.both_mark)}")
    if summary.rate_mark:
        parts.append(f"requests per second {_mark(summary.rate_mark)}")
    if summary.goal:
        parts.append(f"goal {_goal(summary)}")
    return "".join(f" · {part}" for part in parts)


def _table(summary, measured):
    if not measured:
        return ""
    ranked, *others = summary.metrics
    names = ["server", ranked.head, "min – max", "× floor", "× best peer"]
    names += [metric.head for metric in others]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for row in measured:
        value = row.spreads[ranked.key]
        cells = [row.name, ranked.write(value.median), range_text(ranked, value)]
        cells += [_ratio(row.to_floor), _ratio(row.to_peer)]
        for metric in others:
            found = row.spreads.get(metric.key)
            cells.append(metric.write(found.median) if found else "–")
        body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr class="{row.kind}">{body}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _absent(summary):
    texts = [f"{row.name}: {row.absent}" for row in summary.rows if row.absent]
    return "".join(f'<p class="soft">{escape(text)}</p>' for text in texts)


def facts(meta):
    """The machine, the tools and the plan of the run, as a definition list."""
    known = {**meta["machine"], **meta["tools"], "command": meta["command"], **meta["plan"]}
    cells = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in known.items()
    )
    return f"<dl>{cells}</dl>"


def _server(server):
    parts = [server["title"], server["version"]]
    more = "".join(f" · {escape(part)}" for part in parts if part and part != server["name"])
    return (
        f"<details><summary><b>{escape(server['name'])}</b>{more}"
        f"</summary><pre>{escape(server['settings'])}</pre></details>"
    )


def _value(summary, row):
    if row is None:
        return "–"
    return escape(summary.ranked.text(row.spreads[summary.ranked.key].median))


def _mark(mark):
    return f'<span class="mark {mark}">{MARKS[mark]}</span>' if mark else "–"


def _goal(summary):
    if summary.goal is None:
        return "–"
    if summary.goal_met is None:
        return escape(summary.goal)
    word, style = ("met", "won") if summary.goal_met else ("missed", "lost")
    return f'{escape(summary.goal)} <span class="mark {style}">{word}</span>'


def _ratio(value):
    return "–" if value is None else f"{value:.2f}"
