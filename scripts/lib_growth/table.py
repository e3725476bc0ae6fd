"""The tables in the terminal. Pure: series and their data in, text out."""

from lib_compare.text import align
from lib_compare.verdicts import range_text
from lib_growth import judge

DISTURBED = "DISTURBED: the server waited for its core"


def series(one, data):
    """One series as a table, followed by its verdict."""
    title = f"{one.name}: {one.title}"
    parts = [title, "-" * len(title)]
    if data["points"]:
        parts.append(align(_text_lines(one, data)))
    verdict = judge.judge(one, data)
    parts.append(f"bound: {one.bound}: {verdict.mark}")
    parts += [f"  {text}" for text in remarks(data, verdict)]
    return "\n".join(parts) + "\n"


def heads(one):
    """The column headings: one for the points, and one for each line and metric."""
    return [one.axis or "wakeups"] + [
        metric.head if len(one.lines) == 1 else f"{line} {metric.head}"
        for metric in one.metrics
        for line in one.lines
    ]


def rows(one, data):
    """For each point: its name, and for each other column the figure and its range."""
    found = []
    for x in dict.fromkeys(point["x"] for point in data["points"]):
        cells = []
        for metric in one.metrics:
            for line in one.lines:
                value = dict(judge.curve(data, line, metric)).get(x)
                shown = (metric.write(value.median), range_text(metric, value)) if value else None
                cells.append(shown or ("–", ""))
        found.append((one.write(x), cells))
    return found


def _text_lines(one, data):
    """The rows as lists of cells, with separate columns for the ranges."""
    first, *others = heads(one)
    found = [[first, *[text for head in others for text in (head, "min – max")]]]
    for name, cells in rows(one, data):
        found.append([name, *[text for cell in cells for text in cell]])
    return found


def remarks(data, verdict):
    """The remarks below a table."""
    found = [verdict.finding, *data["said"]]
    found += [data["absent"]] if data["absent"] else []
    for point in data["points"]:
        if point["absent"]:
            found.append(f"{point['line']} {point['x']}: {point['absent']}")
    if judge.disturbed(data):
        found.append(DISTURBED)
    return found


def overview(measured):
    """All verdicts in one table; `measured` is a list of (Series, data)."""
    lines = [["series", "bound", "verdict"]]
    for one, data in measured:
        lines.append([one.name, one.bound, judge.judge(one, data).mark])
    return align(lines) + "\n"


def summary_line(measured):
    """The last line: the number of series by mark, and the verdict."""
    marks = [judge.judge(one, data).mark for one, data in measured]
    failed = judge.EXCEEDED in marks or judge.UNKNOWN in marks
    counts = ", ".join(f"{marks.count(mark)} {mark}" for mark in judge.ORDER if mark in marks)
    return f"growth: {'FAILED' if failed else 'ok'}: {len(marks)} series: {counts}"
