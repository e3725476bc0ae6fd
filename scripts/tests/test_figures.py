"""Tests of the statistics, the parsers and the verdicts of scripts/compare."""

import unittest

from lib_compare import http1, machine, metrics, procfs, scenarios, stats, text, verdicts, wrk
from lib_compare.stats import Spread


class Statistics(unittest.TestCase):
    def test_a_spread_is_the_median_with_minimum_and_maximum(self):
        self.assertEqual(stats.spread([3, 1, 2]), Spread(2, 1, 3))
        self.assertEqual(stats.spread([1, 4]), Spread(2.5, 1, 4))
        self.assertIsNone(stats.spread([]))

    def test_percentiles_are_values_of_the_list(self):
        hundred = list(range(1, 101))
        for percent, expected in ((0, 1), (50, 50), (99, 99), (99.9, 100), (100, 100)):
            self.assertEqual(stats.percentile(hundred, percent), expected, percent)
        self.assertEqual(stats.percentile([7], 99.9), 7)
        with self.assertRaises(ValueError):
            stats.percentile([], 50)

    def test_a_mark_needs_the_margin_and_most_of_the_rounds(self):
        rows = [
            ([0.5, 0.6, 0.7], "won"),
            ([1.5, 1.6, 1.7], "lost"),
            ([0.8, 0.9, 1.1], "level"),
            ([0.8, 0.8, 0.9, 1.1], "won"),
            ([0.985, 0.99, 0.99], "level"),
            ([0.95], "level"),
            ([0.85], "won"),
            ([1.15], "lost"),
        ]
        for ratios, expected in rows:
            self.assertEqual(stats.judge(ratios), expected, ratios)

    def test_ratios_are_computed_within_each_round(self):
        # Both were slow in the second round.
        self.assertEqual(stats.ratios([1, 4], [2, 8]), [0.5, 0.5])
        self.assertEqual(stats.ratios([1, 4], [2]), [0.5])
        self.assertEqual(stats.ratios([1], [0]), [])


class Wrk(unittest.TestCase):
    OUTPUT = (
        "Running 2s test @ http://127.0.0.1:8080/\n  1 threads and 64 connections\n"
        "  1000 requests in 2.00s, 1.21MB read\nTransfer/sec: 619.23KB\n\n"
        'wrk-result {"requests":1000,"microseconds":2000000,"bytes":1270000,"connect":0,'
        '"read":0,"write":0,"status":%d,"timeout":0}\n'
    )

    def test_the_result_is_read_from_the_marked_line(self):
        result = wrk.parse(self.OUTPUT % 0)
        self.assertEqual((result.requests, result.seconds, result.rate), (1000, 2.0, 500.0))
        self.assertEqual(result.errors, {})

    def test_errors_are_listed_by_name(self):
        self.assertEqual(wrk.parse(self.OUTPUT % 3).errors, {"status": 3})

    def test_output_without_a_result_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "unable to connect"):
            wrk.parse("unable to connect to 127.0.0.1:8080 Connection refused\n")

    def test_a_load_with_errors_or_without_requests_is_an_error(self):
        self.assertEqual(wrk.checked(self.OUTPUT % 0).requests, 1000)
        nothing = (self.OUTPUT % 0).replace('"requests":1000', '"requests":0')
        for wrong in (self.OUTPUT % 3, nothing, "nothing"):
            with self.assertRaises(wrk.LoadError):
                wrk.checked(wrong)
        self.assertEqual(wrk.checked(nothing, partly=True).bytes, 1270000)

    def test_a_plain_load_has_no_hook_per_request(self):
        self.assertNotIn("request()", wrk.script())
        self.assertIn("string.rep(wrk.format(), 16)", wrk.script(pipeline=16))
        self.assertIn('"/many/%05d.html"', wrk.script(pattern="/many/%05d.html", count=10))

    def test_each_header_field_becomes_an_option(self):
        command = wrk.command("http://h/", "s.lua", 64, 2, {"A": "b c"})
        self.assertIn("A: b c", command)
        self.assertEqual(command[-3:], ["-s", "s.lua", "http://h/"])


class Http(unittest.TestCase):
    def test_a_request_ends_with_an_empty_line(self):
        expected = b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
        self.assertEqual(http1.request("/a", "h", {"X": "y"}), expected)

    def test_a_head_is_parsed_once_it_is_complete(self):
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        for cut in range(data.index(b"hello")):
            self.assertIsNone(http1.parse_head(data[:cut]), cut)
        head = http1.parse_head(data)
        self.assertEqual((head.status, head.length, head.body_length), (200, 38, 5))

    def test_a_304_has_no_body_despite_its_content_length(self):
        head = http1.parse_head(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(head.body_length, 0)

    def test_other_protocols_are_an_error(self):
        with self.assertRaises(ValueError):
            http1.parse_head(b"SSH-2.0\r\n\r\n")


class Proc(unittest.TestCase):
    def test_the_parent_is_found_after_a_name_with_spaces_and_brackets(self):
        self.assertEqual(procfs.parse_parent("42 (a b) c) S 7 42 42 0"), 7)

    def test_a_rollup_is_converted_to_bytes(self):
        rollup = "00400000-7fff [rollup]\nRss:   4 kB\nPss:   3 kB\n"
        self.assertEqual(procfs.parse_rollup(rollup), {"Rss": 4096, "Pss": 3072})

    def test_tcp_counters_are_found_by_name(self):
        snmp = "Ip: A\nIp: 1\nTcp: ActiveOpens PassiveOpens\nTcp: 5 9\nUdp: A\nUdp: 1\n"
        self.assertEqual(procfs.parse_snmp(snmp), {"ActiveOpens": 5, "PassiveOpens": 9})

    def test_core_lists_may_contain_ranges(self):
        self.assertEqual(machine.parse_core_list("0-2,8\n"), {0, 1, 2, 8})


class Verdicts(unittest.TestCase):
    KINDS = {"tenkay": "ours", "floor": "floor", "a": "peer", "b": "peer"}

    @staticmethod
    def result(*figures):
        samples = [{"cpu_us": f, "rate": 1e6 / f, "wall_us": f, "waited": 0.0} for f in figures]
        return {"samples": samples, "absent": None}

    def summary(self, tenkay):
        results = {
            "tenkay": tenkay,
            "floor": self.result(5.0, 5.0),
            "a": self.result(9, 9.5),
            "b": {"samples": [], "absent": "wrong answer"},
        }
        return verdicts.summarise(scenarios.scenarios(100)[0], self.KINDS, results)

    def test_ratios_are_medians_to_the_floor_and_to_the_best_peer(self):
        summary = self.summary(self.result(5.1, 5.3))
        row = summary.find("ours")
        self.assertAlmostEqual(row.to_floor, (5.1 / 5.0 + 5.3 / 5.0) / 2)
        self.assertAlmostEqual(row.to_peer, (5.1 / 9 + 5.3 / 9.5) / 2)
        self.assertEqual((summary.mark, summary.goal_met), ("won", True))
        self.assertEqual([row.name for row in summary.rows], ["floor", "tenkay", "a", "b"])

    def test_lost_scenarios_and_missed_goals_are_shown(self):
        summary = self.summary(self.result(12, 13))
        self.assertEqual((summary.mark, summary.goal_met), ("lost", False))
        self.assertIn("MISSED", text.scenario(summary))
        self.assertIn("lost", text.overview([summary]))

    def test_the_summary_line_counts_marks_and_goals_and_names_failures(self):
        summary = self.summary(self.result(5.1, 5.3))
        self.assertEqual(
            text.summary_line([summary], []),
            "compare: ok; scenarios: 1; 1 won, 0 level, 0 lost against the best peer; "
            "goals met: 1 of 1",
        )
        self.assertIn("FAILED: tenkay could not be measured in 1k", text.summary_line([], ["1k"]))

    def test_each_mark_compares_with_the_peer_that_is_best_by_its_metric(self):
        def result(cpu, both, wall):
            sample = {"cpu_us": cpu, "both_us": both, "rate": 1e6 / wall, "wall_us": wall}
            return {"samples": [sample, sample], "absent": None}

        kinds = {"tenkay": "ours", "a": "peer", "b": "peer"}
        results = {"tenkay": result(10, 20, 10), "a": result(8, 50, 40), "b": result(13, 30, 9)}
        summary = verdicts.summarise(scenarios.scenarios(100)[0], kinds, results)
        self.assertEqual(summary.best_peer.name, "a")
        self.assertEqual((summary.mark, summary.both_mark, summary.rate_mark),
                         ("lost", "won", "lost"))
        for row in [summary.scenario.name, "won", "lost"]:
            self.assertIn(row, text.overview([summary]))

    def test_earlier_data_without_the_client_cpu_is_still_shown(self):
        summary = self.summary(self.result(5.1))
        self.assertIsNone(summary.both_mark)
        self.assertNotIn(metrics.BOTH, summary.metrics)

    def test_without_tenkay_there_is_no_mark(self):
        summary = self.summary({"samples": [], "absent": "it ended"})
        self.assertEqual((summary.mark, summary.goal_met), (None, None))
        self.assertIn("tenkay: it ended", text.scenario(summary))

    def test_without_cpu_time_wall_time_is_ranked(self):
        samples = [{"rate": 1e5, "wall_us": 10.0}]
        results = {"a": {"samples": samples, "absent": None}}
        summary = verdicts.summarise(scenarios.scenarios(100)[0], self.KINDS, results)
        self.assertEqual(summary.ranked, metrics.WALL)

    def test_a_scenario_is_disturbed_if_servers_waited_for_their_core(self):
        result = self.result(9)
        result["samples"][0]["waited"] = 0.2
        summary = verdicts.summarise(scenarios.scenarios(100)[0], self.KINDS, {"a": result})
        self.assertTrue(summary.disturbed)


class Numbers(unittest.TestCase):
    def test_figures_have_three_significant_digits(self):
        rows = [(0.847, "0.85"), (9.456, "9.46"), (28.91, "28.9"), (2091.4, "2,091")]
        for value, expected in rows:
            self.assertEqual(metrics.plain(value), expected)


if __name__ == "__main__":
    unittest.main()
