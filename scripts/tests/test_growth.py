"""Tests of scripts/growth: fits, verdicts, charts, pages and parsers."""

import re
import unittest
from xml.etree import ElementTree

from lib_compare import http1, procfs
from lib_compare.stats import Spread
from lib_growth import drip, fit, judge, lines, page, probes, rounds, series, table, trace
from lib_growth.series import AT_REST, PACED
from tests.test_report import SVG, Balance


def named(name):
    """The series with this name."""
    return next(one for one in series.every() if one.name == name)


def data(*points, key="cpu_us", line="server"):
    """Measured data; each point is an x followed by its samples."""
    return {
        "points": [
            {"line": line, "x": x, "samples": [{key: y} for y in ys], "absent": None}
            for x, *ys in points
        ],
        "said": [],
        "absent": None,
    }


class Fit(unittest.TestCase):
    def test_the_line_through_exact_points_is_found(self):
        found = fit.line([(x, 5 + 0.5 * x) for x in (1, 10, 100, 1000)])
        self.assertAlmostEqual(found.start, 5)
        self.assertAlmostEqual(found.slope, 0.5)
        self.assertAlmostEqual(found.worst, 0)

    def test_a_curve_has_a_large_error_as_a_line(self):
        self.assertGreater(fit.line([(x, x * x) for x in (1, 2, 4, 8)]).worst, 0.2)

    def test_steepness_is_the_exponent(self):
        for power in (0, 1, 2):
            self.assertAlmostEqual(fit.steepness((10, 10**power), (20, 20**power)), power)

    def test_crossings_are_where_the_ratio_passes_one(self):
        self.assertEqual(fit.crossings([(1, 3.0), (4, 2.0), (16, 1.5)]), [])
        (x,) = fit.crossings([(1, 3.0), (4, 2.0), (16, 0.5)])
        self.assertAlmostEqual(x, 8.0)
        self.assertEqual(len(fit.crossings([(1, 3.0), (2, 0.5), (4, 3.0)])), 2)


class Verdicts(unittest.TestCase):
    def judge(self, name, *points, **more):
        return judge.judge(named(name), data(*points, **more)).mark

    def test_growth_up_to_a_share_is_allowed(self):
        rows = [
            ((10.2, 10.2, 20.4), judge.OK), ((10.2, 10.5, 20), judge.OK),
            ((10.2, 10.5, 21), judge.NOISE), ((11, 11, 22), judge.EXCEEDED),
        ]
        for others, expected in rows:
            mark = self.judge("idle", (0, 10, 10, 20), (1_000, *others), (10_000, 10, 10, 20))
            self.assertEqual(mark, expected, others)

    def test_points_are_compared_within_each_round(self):
        slow_rounds = ((0, 5, 7, 5, 7), (1_000, 5.3, 7.4, 5.3, 7.4))
        self.assertEqual(self.judge("idle", *slow_rounds), judge.EXCEEDED)

    def test_points_between_the_first_and_the_last_count(self):
        self.assertEqual(self.judge("idle", (0, 10), (1_000, 12), (10_000, 10)), judge.EXCEEDED)

    def test_an_absolute_bound_compares_the_first_and_the_last_point(self):
        rows = [((6.1, 6.2), judge.OK), ((6.2, 6.7), judge.NOISE), ((6.6, 6.7), judge.EXCEEDED)]
        for last, expected in rows:
            mark = self.judge("cached", (10, 6, 6), (100, 9, 9), (100_000, *last))
            self.assertEqual(mark, expected, last)

    def test_a_deeper_pipeline_may_not_cost_more_than_any_before(self):
        self.assertEqual(self.judge("pipeline", (1, 6), (2, 3), (4, 3.05), (8, 1)), judge.OK)
        self.assertEqual(self.judge("pipeline", (1, 6), (2, 3), (4, 3.2), (8, 3)), judge.EXCEEDED)

    def test_linear_growth_passes_and_quadratic_growth_fails(self):
        xs = (100, 200, 400, 800)
        linear = [(x, 4 + 3 * x) for x in xs]
        quadratic = [(x, 300 + x * x / 100) for x in xs]
        self.assertEqual(self.judge("drip", *linear, key="head_us"), judge.OK)
        self.assertEqual(self.judge("drip", *quadratic, key="head_us"), judge.EXCEEDED)

    def test_a_single_range_is_not_compared_with_multipart(self):
        steep = [(1, 1), (2, 10), (4, 20)]
        self.assertEqual(self.judge("ranges", *steep), judge.OK)
        self.assertEqual(self.judge("ranges", *steep, (8, 60)), judge.EXCEEDED)

    def wakes(self, paced, at_rest):
        points = ((PACED, paced), (AT_REST, at_rest))
        return self.judge("wakeups", *points, key="wakes", line="switches")

    def test_an_idle_server_may_not_wake_up(self):
        self.assertEqual(self.wakes(1.04, 0), judge.OK)
        self.assertEqual(self.wakes(1.06, 0), judge.EXCEEDED)
        self.assertEqual(self.wakes(1.0, 1), judge.EXCEEDED)

    def crossing(self, memory, sendfile):
        points = []
        for line, figures in (("memory", memory), ("sendfile", sendfile)):
            for x, cpu in zip((1 << 10, 1 << 20), figures):
                samples = [{"cpu_us": cpu, "both_us": cpu if line == "memory" else 99}]
                points.append({"line": line, "x": x, "samples": samples, "absent": None})
        return judge.judge(named("size"), {"points": points, "said": [], "absent": None})

    def test_crossings_are_found_for_each_metric(self):
        mark, finding = self.crossing((1, 8), (2, 4))
        self.assertEqual(mark, judge.NO_BOUND)
        self.assertIn("sendfile is cheaper from about 32 KiB on", finding)
        self.assertIn("client per request: memory is cheaper at every size", finding)

    def test_a_missing_point_does_not_pass(self):
        measured = data((0, 10), (1_000, 10))
        measured["points"][1]["absent"] = "it broke"
        self.assertEqual(judge.judge(named("idle"), measured).mark, judge.UNKNOWN)
        self.assertIn("it broke", table.series(named("idle"), measured))

    def test_a_series_is_disturbed_if_the_server_waited_for_its_core(self):
        self.assertFalse(judge.disturbed(data((0, 0.01), (1, 0.3), (2, 0.01), key="waited")))
        self.assertTrue(judge.disturbed(data((0, 0.2), (1, 0.3), (2, 0.01), key="waited")))


class Table(unittest.TestCase):
    def test_the_summary_line_fails_if_a_bound_is_exceeded_or_unknown(self):
        idle = named("idle")
        ok, exceeded = data((0, 10), (1_000, 10)), data((0, 10), (1_000, 12))
        self.assertEqual(table.summary_line([(idle, ok)]), "growth: ok: 1 series: 1 ok")
        line = table.summary_line([(idle, ok), (idle, exceeded)])
        self.assertEqual(line, "growth: FAILED: 2 series: 1 ok, 1 EXCEEDED")
        absent = {"points": [], "said": [], "absent": "no space"}
        self.assertIn("FAILED", table.summary_line([(idle, absent)]))

    def test_every_series_has_a_plan_and_a_rule(self):
        every = series.every()
        self.assertEqual({one.name for one in every}, set(rounds.PLANS))
        for one in every:
            self.assertIn(one.rule, judge.RULES)
            self.assertIn(one.judged, one.metrics)
            self.assertLessEqual(set(one.quick_points), set(one.points))

    def test_a_row_has_a_cell_for_each_line_and_metric(self):
        one = named("size")
        measured = data((1 << 10, 1.0, 2.0), line="memory")
        ((name, cells),) = table.rows(one, measured)
        self.assertEqual((name, cells[:2]), ("1 KiB", [("1.50", "1.00 – 2.00"), ("–", "")]))
        self.assertEqual(len(table.heads(one)), 1 + len(cells))


class Chart(unittest.TestCase):
    LINES = [
        lines.Line("memory", [(x, Spread(x, x * 0.9, x * 1.1)) for x in (1, 10, 100)]),
        lines.Line("<sendfile>", [(x, Spread(2 * x, 2 * x, 2 * x)) for x in (1, 10, 100)]),
    ]

    def chart(self, some=None, **more):
        text = lines.chart("a < b", "µs", "files", some or self.LINES, str, **more)
        return ElementTree.fromstring(text)

    def test_all_coordinates_are_inside_the_chart(self):
        for steep in (False, True):
            chart = self.chart(steep=steep)
            for path in chart.iter(f"{SVG}path"):
                for x, y in re.findall(r"([\d.]+) ([\d.]+)", path.get("d")):
                    self.assertTrue(0 <= float(x) <= lines.WIDTH, path.get("d"))
                    self.assertTrue(0 <= float(y) <= lines.HEIGHT, path.get("d"))

    def test_there_is_a_dot_for_each_point_and_a_band_for_each_line(self):
        chart = self.chart()
        kinds = [element.get("class") for element in chart.iter()]
        self.assertEqual([kinds.count(f"dot {kind}") for kind in lines.KINDS], [3, 3])
        self.assertEqual([kinds.count(f"band {kind}") for kind in lines.KINDS], [1, 1])

    def test_linear_axes_start_at_zero_and_logarithmic_axes_at_a_power_of_ten(self):
        self.assertEqual(lines.steps(7.2), [0, 2, 4, 6, 8])
        self.assertEqual(lines.steps(0), [0, 1])
        self.assertEqual(lines.powers([Spread(5, 4, 200)]), [1, 10, 100, 1000])

    def test_ticks_are_few_and_reach_the_largest_value(self):
        for largest in (0.013, 0.99, 1, 3, 5.01, 47, 1_234_567):
            found = lines.steps(largest)
            self.assertTrue(4 <= len(found) <= 7, (largest, found))
            self.assertGreaterEqual(found[-1] * 1.0001, largest)

    def test_a_chart_with_a_single_point_is_valid(self):
        self.chart([lines.Line("one", [(5, Spread(1, 1, 1))])])

    def test_labels_of_the_axis_do_not_overlap(self):
        xs = (0, 1_000, 10_000, 18_000)
        some = [lines.Line("one", [(x, Spread(1, 1, 1)) for x in xs])]
        text = lines.chart("t", "µs", "c", some, series.count, log=False)
        self.assertIn(">18,000<", text)
        self.assertNotIn(">1,000<", text)


class Page(unittest.TestCase):
    def page(self):
        meta = {
            "date": "today", "machine": {"processor": "p", "system": "s"}, "tools": {},
            "plan": {}, "command": "scripts/growth", "warnings": ["one & only"],
        }
        wakes = data((PACED, 1.0), (AT_REST, 0), key="wakes", line="switches")
        idle = data((0, 10), (1_000, 12))
        idle["said"] = ["a < b"]
        absent = {"points": [], "said": [], "absent": "no <room>"}
        measured = [(named("idle"), idle), (named("wakeups"), wakes), (named("drip"), absent)]
        return page.page(meta, measured)

    def test_tags_are_balanced_and_texts_are_escaped(self):
        found = self.page()
        balance = Balance()
        balance.feed(found.replace("<circle", "<rect"))
        self.assertEqual((balance.open, balance.wrong), ([], []))
        for text in ("no &lt;room&gt;", "one &amp; only", "a &lt; b"):
            self.assertIn(text, found)

    def test_the_page_loads_no_external_resource(self):
        found = self.page().replace("http://www.w3.org/2000/svg", "")
        self.assertIsNone(re.search(r"https?://|<script|<link|@import|url\(", found))

    def test_the_mark_is_a_word_and_not_only_a_colour(self):
        self.assertIn("✗ EXCEEDED", self.page())


class Parsers(unittest.TestCase):
    def test_voluntary_context_switches_are_read_from_the_status(self):
        status = "Name:\ta\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t5\n"
        self.assertEqual(procfs.parse_voluntary(status), 150)
        with self.assertRaises(ValueError):
            procfs.parse_voluntary("Name:\ta\n")

    def test_the_state_is_found_after_a_name_with_spaces_and_brackets(self):
        self.assertEqual(procfs.parse_state("42 (a b) c) S 7 42 42 0"), "S")

    def test_failed_calls_are_not_counted(self):
        output = (
            "% time     seconds  usecs/call     calls    errors syscall\n"
            "------ ----------- ----------- --------- --------- ----------------\n"
            " 90.00    0.001000           1     1,000           broken\n"
            " 90.00    0.001000           1      1000           epoll_wait\n"
            " 10.00    0.000100           1       200        50 recvfrom\n"
            "------ ----------- ----------- --------- --------- ----------------\n"
            "100.00    0.001100           1      1200        50 total\n"
        )
        self.assertEqual(trace.parse(output), {"epoll_wait": 1000, "recvfrom": 150})

    def test_a_head_has_exactly_the_requested_length(self):
        for length in (100, 3_200):
            head = drip.head_of(length, "127.0.0.1:12345")
            self.assertEqual(len(head), length)
            self.assertEqual(head.count(b"\r\n\r\n"), 1)
        with self.assertRaises(ValueError):
            drip.head_of(20, "h")

    def test_ranges_do_not_touch(self):
        self.assertEqual(probes.range_field(3), "bytes=0-0,100-100,200-200")
        self.assertIn(b"Range: bytes=0-0\r\n", http1.request("/", "h", {
            "Range": probes.range_field(1)
        }))


if __name__ == "__main__":
    unittest.main()
