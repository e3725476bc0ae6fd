"""Tests of scripts/compare: parsers, ratios, marks, verdicts on series, charts and reports."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from lib_compare import bench, charts, clients, growth, judge, machine, peers, report, scenarios
from lib_compare.judge import EXCEEDED, NOISE, OK, UNKNOWN, Spread
from lib_compare.machine import Failure
from lib_compare.servers import FEATURES, Place, Recipe, floor

SCRIPTS = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"
KINDS = {"tenkay": "ours", "floor": "floor", "a": "peer", "b": "peer", "nginx": "peer"}
ABSENT = {"samples": [], "absent": "wrong <answer>"}


def named(name):
    """The scenario with this name."""
    return next(one for one in scenarios.SCENARIOS if one.name == name)


def result(*figures, **more):
    """The samples of a server with these CPU times."""
    samples = [{"cpu_us": f, "both_us": 2 * f, "rate": 1e6 / f, "waited": 0.0, **more}
               for f in figures]
    return {"samples": samples, "absent": None}


def summary(tenkay):
    """tenkay beside a floor of 5 us, a slower peer and an absent peer."""
    results = {"tenkay": tenkay, "floor": result(5.0, 5.0), "a": result(9, 9.5), "b": ABSENT}
    return judge.Summary(named("1k"), KINDS, results)


def series(name, *points, key="cpu_us", line="server"):
    """The Summary of a series; each point is an x followed by the figures of the rounds."""
    results = {judge.point(line, x): {"samples": [{key: y} for y in ys], "absent": None}
               for x, *ys in points}
    return judge.Summary(named(name), {}, results)


class Loads(unittest.TestCase):
    WRK = "Running 2s test\nTransfer/sec: 619.23KB\n\nwrk-result %d 2000000 1270000 %d\n"
    H2LOAD = (
        "finished in 1.03s, 4834.27 req/s, 6.22MB/s\nrequests: 50 total, 50 started, 40 done, "
        "%d succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 40 2xx, %d 3xx, 0 4xx, "
        "0 5xx\ntraffic: 6.43MB (67450) total, 1.27MB (13300) headers (space savings 0.00%%), "
        "4.88MB (%d) data\n"
    )

    def test_the_result_of_wrk_is_read_from_the_marked_line(self):
        self.assertEqual(clients.wrk(self.WRK % (1000, 0)), (1000, 2.0, 1270000))
        self.assertEqual(clients.wrk(self.WRK % (0, 0), partly=True).bytes, 1270000)
        for wrong in (self.WRK % (1000, 3), self.WRK % (0, 0), "unable to connect"):
            with self.assertRaises(Failure):
                clients.wrk(wrong)

    def test_the_result_of_h2load_needs_complete_bodies_and_no_error(self):
        found = clients.h2load(self.H2LOAD % (40, 0, 40 * 1024), 1024)
        self.assertEqual(found, (40, 1.03, 67450))
        for wrong in ((39, 0, 40 * 1024), (40, 9, 40 * 1024), (40, 0, 39 * 1024)):
            with self.assertRaises(Failure):
                clients.h2load(self.H2LOAD % wrong, 1024)
        with self.assertRaises(Failure):
            clients.h2load("could not connect", 1024)

    def test_the_latencies_are_sorted_and_each_status_is_200(self):
        with tempfile.TemporaryDirectory() as home:
            log = Path(home) / "log"
            log.write_text("1795\t200\t30\n1796\t200\t10\n")
            self.assertEqual(clients.latencies(log), [10, 30])
            log.write_text("1795\t200\t30\n1796\t-1\t10\n")
            with self.assertRaises(Failure):
                clients.latencies(log)

    def test_a_paced_load_spreads_its_connections_over_the_time_between_two_requests(self):
        line = clients.paced_command("http://h/", 250, 5000, 2, "log", {})
        for option, value in (("--rps", "20"), ("-n", "10000"), ("-c", "250"), ("-r", "5")):
            self.assertEqual(line[line.index(option) + 1], value)
        self.assertIn("--rate-period=1ms", line)

    def test_heads_and_ranges_of_series_have_the_exact_length(self):
        for length in (100, 3_200):
            self.assertEqual(len(growth.head_of(length)), length)
        self.assertEqual(growth.range_field(3), "bytes=0-0,100-100,200-200")


class Machine(unittest.TestCase):
    def test_files_of_proc_are_parsed(self):
        self.assertEqual(machine.parse_stat("42 (a b) c) S 7 42 42 0")[:2], ["S", "7"])
        rollup = "00400000-7fff [rollup]\nRss:   4 kB\nPss:   3 kB\n"
        self.assertEqual(machine.parse_rollup(rollup), {"Rss": 4096, "Pss": 3072})
        self.assertEqual(machine.parse_core_list("0-2,8\n"), {0, 1, 2, 8})

    def test_another_congestion_control_applies_only_in_the_namespace(self):
        program = ("from lib_compare import machine\nmachine.enter('reno')\n"
                   "print(machine.congestion_control())\n")
        before = machine.congestion_control()
        with tempfile.TemporaryDirectory() as home:
            script = Path(home) / "enter"
            script.write_text(program)
            done = subprocess.run(
                [sys.executable, script], env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
                capture_output=True, text=True, timeout=60, check=False,
            )
        if done.returncode != 0 and "Traceback" not in done.stderr:
            self.skipTest(done.stderr.strip())  # no right to make a namespace
        self.assertEqual(done.stdout.strip(), "reno", done.stderr)
        self.assertEqual(machine.congestion_control(), before)
        with self.assertRaisesRegex(OSError, "--congestion: x is not in .*available"):
            machine.enter("x")


class Servers(unittest.TestCase):
    def test_every_recipe_has_settings_for_each_of_its_features(self):
        makers = (peers.nginx, peers.lighttpd, peers.h2o, peers.caddy)
        for recipe in [recipe for make in makers for recipe in make("/bin/true")]:
            plain = recipe.settings(Place("R", "/h", "1"))
            # H2O and Caddy need no setting for HTTP/2 without TLS.
            known = {"tls", "tls-rsa"} | ({"h2c"} if recipe.name in ("h2o", "caddy") else set())
            for feature in recipe.features - known:
                place = Place("R", "/h", "1", needs=frozenset({feature}))
                self.assertNotEqual(recipe.settings(place), plain, (recipe.name, feature))

    def test_a_server_takes_part_only_in_scenarios_that_it_is_configured_for(self):
        recipe = Recipe("a", "", "peer", "", list, features=frozenset({"log"}))
        refused = [one.name for one in scenarios.SCENARIOS if bench._refusal(one, recipe, 10_000)]
        self.assertNotIn("log", refused)
        self.assertTrue({"rules", "https-1k", "h2c-1", "two-workers"} <= set(refused))
        self.assertIn("the limit on open files", bench._refusal(named("busy"), recipe, 9_999))
        self.assertIn("no lower bound", bench._refusal(named("close"), floor("", ""), 9_999))

    def test_scenarios_have_different_names_and_known_needs(self):
        names = [one.name for one in scenarios.SCENARIOS] + scenarios.GROUPS
        self.assertEqual(len(set(names)), len(names))
        for one in scenarios.SCENARIOS:
            self.assertLessEqual(one.needs, FEATURES, one.name)
            self.assertEqual(one.kind == "growth", one.name in growth.SERIES)


class Judge(unittest.TestCase):
    def test_percentiles_are_values_of_the_list(self):
        for percent, expected in ((0, 1), (50, 50), (99, 99), (99.9, 100), (100, 100)):
            self.assertEqual(clients.percentile(range(1, 101), percent), expected, percent)

    def test_a_mark_needs_the_margin_and_most_of_the_rounds(self):
        for ratios, expected in (
            ([0.5, 0.6, 0.7], "won"), ([1.5, 1.6, 1.7], "lost"), ([0.8, 0.9, 1.1], "level"),
            ([0.8, 0.8, 0.9, 1.1], "won"), ([0.985, 0.99, 0.99], "level"), ([0.95], "level"),
            ([0.85], "won"), ([1.15], "lost"), ([], None),
        ):
            self.assertEqual(judge.mark(ratios), expected, ratios)

    def test_ratios_are_medians_within_the_rounds(self):
        found = summary(result(5.1, 5.3))
        self.assertAlmostEqual(found.ratio(found.ours, found.floor), (5.1 / 5.0 + 5.3 / 5.0) / 2)
        self.assertAlmostEqual(found.ratio(found.ours, found.peer), (5.1 / 9 + 5.3 / 9.5) / 2)
        self.assertEqual((found.marks[0], found.met), ("won", True))
        self.assertEqual([one.name for one in found.rows], ["floor", "tenkay", "a", "b"])
        self.assertEqual(
            report.verdict([found]),
            "scenarios: 1; 1 won, 0 level, 0 lost against the best peer; goals met: 1 of 1",
        )

    def test_each_mark_compares_with_the_peer_that_is_best_by_its_metric(self):
        def one(cpu, both, rate):
            return result(cpu, cpu, both_us=both, rate=rate)

        results = {"tenkay": one(10, 20, 10), "a": one(8, 50, 4), "b": one(13, 30, 11)}
        found = judge.Summary(named("1k"), KINDS, results)
        self.assertEqual((found.peer.name, found.marks), ("a", ["lost", "won", "lost"]))

    def test_missed_goals_disturbed_and_absent_servers_are_shown(self):
        found = summary(result(12, 13, waited=0.2))
        self.assertEqual((found.marks[0], found.met), ("lost", False))
        for text in ("MISSED", "b: wrong <answer>", "against a: lost"):
            self.assertIn(text, report.text(found))
        busy = judge.Summary(named("1k"), KINDS, {"a": result(9, waited=0.2)})
        self.assertTrue(busy.disturbed and "DISTURBED" in report.text(busy))
        none = summary({"samples": [], "absent": "it ended"})
        self.assertEqual((none.marks[0], none.met), (None, None))
        self.assertIn("tenkay: it ended", report.text(none))


class Series(unittest.TestCase):
    def verdict(self, *arguments, **more):
        return series(*arguments, **more).finding.partition(": ")[0]

    def test_a_bound_is_exceeded_if_most_rounds_agree(self):
        for others, expected in (
            ((10.2, 10.2, 20.4), OK), ((10.2, 10.5, 20), OK), ((10.2, 10.5, 21), NOISE),
            ((11, 11, 22), EXCEEDED),
        ):
            points = ((0, 10, 10, 20), (1_000, *others), (10_000, 10, 10, 20))
            self.assertEqual(self.verdict("grow-idle", *points), expected, others)
        slow_rounds = ((0, 5, 7, 5, 7), (1_000, 5.3, 7.4, 5.3, 7.4))
        self.assertEqual(self.verdict("grow-idle", *slow_rounds), EXCEEDED)

    def test_each_rule_has_its_own_comparison(self):
        for last, expected in (((6.1, 6.2), OK), ((6.2, 6.7), NOISE), ((6.6, 6.7), EXCEEDED)):
            points = ((10, 6, 6), (100, 9, 9), (100_000, *last))
            self.assertEqual(self.verdict("grow-cached", *points), expected, last)
        for last, expected in ((3.05, OK), (3.2, EXCEEDED)):
            points = ((1, 6), (2, 3), (4, last), (8, 1))
            self.assertEqual(self.verdict("grow-pipeline", *points), expected, last)
        for cost, expected in ((lambda x: 4 + 3 * x, OK), (lambda x: x * x / 100, EXCEEDED)):
            points = [(x, cost(x)) for x in (100, 200, 400, 800)]
            self.assertEqual(self.verdict("grow-drip", *points, key="head_us"), expected)
        found = series("grow-ranges", *[(x, 5 + 0.5 * x) for x in (2, 4, 8)]).finding
        self.assertIn("5.0 µs + 0.500 µs per range", found)

    def test_a_point_above_the_limit_on_open_files_is_absent_and_does_not_pass(self):
        scenario = named("grow-idle")
        recipe = Recipe("tenkay", "", "ours", "", list)
        with (
            tempfile.TemporaryDirectory() as home,
            mock.patch.object(growth, "expect"), mock.patch.object(growth, "Pool"),
            mock.patch.object(growth.Series, "load", return_value={"cpu_us": 10.0}),
        ):
            plan = bench.Plan(2, 1, 0, {0}, Path(home), Path(home), "", 10_000)
            plan.start = mock.MagicMock()
            results = bench.run(scenario, [recipe], plan)
        self.assertEqual([name for name, one in results.items() if one["absent"]],
                         ["server 18000"])
        self.assertIn("the limit on open files", results["server 18000"]["absent"])
        found = judge.Summary(scenario, {}, results)
        self.assertEqual((found.finding[: len(UNKNOWN)], found.met), (UNKNOWN, False))


class Charts(unittest.TestCase):
    def test_all_coordinates_of_lines_are_inside_the_chart(self):
        curves = {name: [(x, Spread(x * f, x * f * 0.9, x * f * 1.1)) for x in (1, 10, 100)]
                  for name, f in (("memory", 1), ("<sendfile>", 2))}
        for some in (curves, {"one": curves["memory"][:2]}, {"one": [(5, Spread(1, 1, 1))]}):
            chart = ElementTree.fromstring(charts.lines("t", "µs", "x", some, str))
            kinds = [element.get("class") for element in chart.iter()]
            self.assertEqual(kinds.count("dot ours"), len(list(some.values())[0]))
            for path in chart.iter(f"{SVG}path"):
                for x, y in re.findall(r"([\d.]+) ([\d.]+)", path.get("d")):
                    self.assertTrue(0 <= float(x) <= charts.WIDTH, path.get("d"))
                    self.assertTrue(0 <= float(y) <= charts.HEIGHT, path.get("d"))

    def test_ticks_are_few_and_reach_the_largest_value(self):
        self.assertEqual(charts.powers(4, 200), [1, 10, 100, 1000])
        for largest in (0.013, 0.99, 1, 3, 5.01, 47, 1_234_567):
            found = charts.steps(largest)
            self.assertTrue(4 <= len(found) <= 7 and found[-1] * 1.0001 >= largest, found)


class Balance(HTMLParser):
    """Collects tags that are not closed, or closed in the wrong order."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        self.open += [tag] if tag not in ("meta", "path", "circle") else []

    def handle_endtag(self, tag):
        if tag not in ("path", "circle") and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


class Report(unittest.TestCase):
    META = {"date": "today", "machine": {
        "processor": "p", "system": "s", "load average at start": "0.1, 0.1"}, "tools": {},
        "plan": {"rounds": "2"}, "command": "scripts/compare", "warnings": ["one & only"]}

    def test_the_page_is_balanced_escaped_and_complete_in_itself(self):
        server = {"name": "a", "title": "A", "version": "1", "settings": "x < y"}
        grown = series("grow-idle", (0, 10, 11), (1_000, 12, 12))
        summaries = [summary(result(5.1, 5.3)), grown, series("grow-drip")]
        page = report.page(self.META, summaries, [server])
        balance = Balance()
        balance.feed(page)
        self.assertEqual((balance.open, balance.wrong), ([], []))
        for text in ("wrong &lt;answer&gt;", "one &amp; only", "x &lt; y", "✓ won", "EXCEEDED",
                     '10.5 <small class="soft">10.0–11.0</small>', "prefers-color-scheme: dark"):
            self.assertIn(text, page)
        page = page.replace("http://www.w3.org/2000/svg", "")
        self.assertIsNone(re.search(r"https?://|<script|<link|@import|url\(", page))

    def test_a_bar_far_above_the_others_is_cut(self):
        found = {name: result(figure) for name, figure in (("tenkay", 5), ("a", 10), ("b", 90))}
        bars = list(report._bars(judge.Summary(named("1k"), KINDS, found)))
        widths = [re.search(r"width:([\d.]+)%", bar)[1] for bar in bars]
        self.assertEqual(widths, ["16.7", "33.3", "100.0"])
        self.assertEqual(["cut" in bar for bar in bars], [False, False, True])

    def test_a_report_of_several_runs_has_the_congestion_control_of_the_last(self):
        with tempfile.TemporaryDirectory() as home:
            paths = []
            for number, (network, figure) in enumerate((("cubic", 11), ("bbr", 44), ("cubic", 33))):
                name = "10k" if number == 2 else "1k"
                run = {"meta": {**self.META, "congestion": network}, "servers": [],
                       "results": {name: {"tenkay": result(figure)}, "304": {"tenkay": ABSENT}}}
                paths.append(Path(home) / f"{number}.json")
                paths[-1].write_text(json.dumps(run))
            command = [SCRIPTS / "compare", "--out", home, "--render", *paths]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("FAILED: tenkay could not be measured in 304", done.stdout)
            page = (Path(home) / "report.html").read_text()
        for text in (done.stdout, page):
            found = [figure for figure in ("11.0", "44.0", "33.0") if figure in text]
            self.assertEqual(found, ["11.0", "33.0"])

    def test_figures_have_three_significant_digits(self):
        rows = ((0.847, "0.85"), (9.456, "9.46"), (28.91, "28.9"), (2091.4, "2,091"))
        for value, expected in rows:
            self.assertEqual(scenarios.plain(value), expected)

    def test_tables_are_published_between_their_lines(self):
        document = ("<!-- figures: 1k -->\nold\n<!-- end of figures -->\nkept\n"
                    "<!-- figures short bbr: 1k -->\nold\n<!-- end of figures -->\n"
                    "<!-- figures: 10k -->\nunmeasured\n<!-- end of figures -->\n")
        summaries = {"1k": judge.Summary(named("1k"), KINDS, {
            "tenkay": result(5.0), "nginx": result(10.0), "floor": result(4.0)})}
        runs = [("cubic", "today", summaries)]
        found = report.publish(document, runs)
        row = "| 1 KiB file, keep-alive | 5.00 | 1.25 | **0.50** |  |  | 0.50 | 2.00 |\n"
        self.assertIn(f"{row}\n(today)\n<!-- end of figures -->\nkept\n", found)
        self.assertEqual((found.count("\nold\n"), found.count("\nunmeasured\n")), (1, 1))
        self.assertEqual(report.publish(found, runs), found)


if __name__ == "__main__":
    unittest.main()
