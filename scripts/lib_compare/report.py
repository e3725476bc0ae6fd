"""The HTML report: one file, no external resource, light and dark. Pure: data in, text out."""

from html import escape
from pathlib import Path

from lib_compare import svg
from lib_compare.verdicts import range_text, tally

STYLE = Path(__file__).with_name("report.css")

MARKS = {"won": "✓ won", "lost": "✗ lost", "level": "= level"}

METHOD = """
<p>Every server serves the same folder over loopback, pinned to one core; the load runs on
another. Rounds are interleaved (A&nbsp;B&nbsp;C&nbsp;A&nbsp;B&nbsp;C), so that a slow minute of
the machine touches all alike. A table gives the median of the rounds and the range from the
smallest to the largest. Before it is timed, each server has to give the right status, length and
bytes for the very requests of the load; a run in which the load generator sees a single error
does not count.</p>
<p><b>Server CPU per request</b> is the time that all threads of a server's processes spent on
their core, kernel included (<code>/proc/PID/task/*/schedstat</code>), divided by the requests. It
is ranked, and not requests per second, because the load generator is the slower side of a fast
server.</p>
<p><b>CPU of both ends</b> adds that of the load generator. With large files on loopback the one
figure misleads without the other: TCP sends what is queued when an acknowledgement arrives, and
here that runs on the receiver's core and is charged to it. A server whose clients keep a small
receive window (nginx sends its head in a segment of its own, which has that effect) is charged
little, while the whole costs more and moves fewer bytes. Over a network, acknowledgements arrive at
the server.</p>
<p>The <b>floor</b> parses nothing: an event loop that answers each receive with one constant of
the same length by one send. It is what the kernel alone costs. It is left out where it bounds
nothing: it copies large files, which sendfile need not, and it does not defer accepting.</p>
<p><b>Latency</b> comes from an open loop: requests are due at a fixed rate, and each counts from
the moment it was due, so that a stall is seen by all it delays. <b>Beside a greedy client</b> one
more connection downloads a large file over and over, or pipelines small requests without end, on
whatever time the load leaves of its core (SCHED_IDLE). The client is a Python program on
its own core, and its own jitter is part of every figure: compare with the floor's.</p>
<p><b>User memory</b> is the growth of the proportional set size (PSS) of the server's processes,
divided by the connections, each of which has had one answer. What a server reserves when it
starts is not in it: see start-up. Memory of the kernel for a socket is the same for all and is
left out.</p>
<p><b>Ratios</b> are taken round by round, and the median of them is given: a machine that is
slow for a while is so for all servers of a round. <b>Won</b> and <b>lost</b> are against the best
peer in that scenario, whichever it is; they need a median ratio at least 2&nbsp;% from one
(10&nbsp;% where there was one round only), and three quarters of the rounds on that side. All else
is <b>level</b>.</p>
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
        "<p>What one request costs the server, how long it takes, and what a connection weighs, "
        "measured side by side with other servers at their best settings. "
        "<b>Smaller is better in every chart.</b></p>",
        _warnings(meta, summaries),
        _tally(summaries),
        _overview(summaries),
        "<h2>Scenario by scenario</h2>",
        *[_scenario(summary) for summary in summaries],
        "<h2>How it was measured</h2>",
        METHOD,
        "<h2>Where it was measured</h2>",
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
            "The machine was not quiet: in " + ", ".join(disturbed) + " the servers had to wait "
            "for their core. Trust ratios there only, and those with caution."
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
    names += ["mark", "both ends", "requests/s", "goal"]
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
<p class="soft">{_subject(summary)}{_said(summary)}</p></header>
<div>{picture}</div>
<div class="scroll">{_table(summary, measured)}{_absent(summary)}</div>
</section>"""


def _subject(summary):
    label, scenario = summary.ranked.label, summary.scenario
    text = escape(f"{label[0].upper()}{label[1:]}, {summary.ranked.unit}")
    return text + (f" · {scenario.connections:,} connections" if scenario.kind != "start" else "")


def _said(summary):
    parts = []
    if summary.mark:
        parts.append(f"{_mark(summary.mark)} against {escape(summary.best_peer.name)}")
    if summary.both_mark:
        parts.append(f"CPU of both ends {_mark(summary.both_mark)}")
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
    """Where and how it was measured, as a list of names and texts."""
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
