"""The tables in the terminal. Pure: summaries in, text out."""

from lib_compare.verdicts import range_text, tally


def scenario(summary):
    """One scenario as a table."""
    ranked, *others = summary.metrics
    head = ["server", ranked.head, "min – max", "× floor", "× best peer"]
    head += [metric.head for metric in others]
    lines = [head]
    for row in summary.rows:
        if row.spreads:
            lines.append(_cells(row, ranked, others))
    table = align(lines)
    absent = [f"  {row.name}: {row.absent}" for row in summary.rows if row.absent]
    title = f"{summary.scenario.name}: {summary.scenario.title}"
    return "\n".join([title, "-" * len(title), table, *absent, _closing(summary)]).rstrip() + "\n"


def overview(summaries):
    """All scenarios in one table, for tenkay."""
    head = ["scenario", "tenkay", "× floor", "best peer", "× best peer"]
    lines = [[*head, "mark", "both", "rate", "goal"]]
    for summary in summaries:
        ours, peer = summary.find("ours"), summary.best_peer
        key, ranked = summary.ranked.key, summary.ranked
        lines.append(
            [
                summary.scenario.name,
                ranked.text(ours.spreads[key].median) if ours else "-",
                _ratio(ours.to_floor) if ours else "-",
                f"{peer.name} {ranked.text(peer.spreads[key].median)}" if peer else "-",
                _ratio(ours.to_peer) if ours else "-",
                summary.mark or "-",
                summary.both_mark or "-",
                summary.rate_mark or "-",
                _goal(summary),
            ]
        )
    counts = ", ".join(f"{count} {mark}" for mark, count in tally(summaries).items())
    return f"{align(lines)}\n\nagainst the best peer: {counts}\n"


def summary_line(summaries, failed):
    """The last line: what was measured, and the verdict. `failed` names the scenarios in which
    tenkay could not be measured."""
    counts = tally(summaries)
    marks = ", ".join(f"{count} {mark}" for mark, count in counts.items())
    against = f"{marks} against the best peer" if any(counts.values()) else "no peer measured"
    met = [summary.goal_met for summary in summaries if summary.goal_met is not None]
    verdict = f"FAILED: tenkay could not be measured in {', '.join(failed)}" if failed else "ok"
    return (
        f"compare: {verdict}; scenarios: {len(summaries)}; {against}; "
        f"goals met: {sum(met)} of {len(met)}"
    )


def _cells(row, ranked, others):
    value = row.spreads[ranked.key]
    cells = [row.name, ranked.write(value.median), range_text(ranked, value)]
    cells += [_ratio(row.to_floor), _ratio(row.to_peer)]
    for metric in others:
        found = row.spreads.get(metric.key)
        cells.append(metric.write(found.median) if found else "-")
    return cells


def _closing(summary):
    parts = []
    if summary.mark:
        parts.append(f"tenkay against {summary.best_peer.name}: {summary.mark}")
    if summary.goal:
        parts.append(f"goal {_goal(summary)}")
    if summary.disturbed:
        parts.append("DISTURBED: the servers waited for their core")
    return "; ".join(parts)


def _goal(summary):
    if summary.goal is None:
        return "-"
    return summary.goal + {None: "", True: ": met", False: ": MISSED"}[summary.goal_met]


def _ratio(value):
    return "-" if value is None else f"{value:.2f}"


def align(lines):
    """Columns as wide as their widest cell; the first left-aligned, the others right-aligned."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    texts = []
    for line in lines:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        )
        texts.append("  ".join([first, *rest]).rstrip())
    return "\n".join(texts)
