"""Tests of the chart and the page: well-formed, self-contained, and to scale."""

import re
import unittest
from html.parser import HTMLParser
from xml.etree import ElementTree

from lib_compare import report, scenarios, svg, verdicts
from lib_compare.stats import Spread

SVG = "{http://www.w3.org/2000/svg}"


def bar(label, median, low=None, high=None):
    """The bar of a peer."""
    return svg.Bar(label, "peer", Spread(median, low or median, high or median), f"{median}")


class Chart(unittest.TestCase):
    def test_bars_are_to_scale(self):
        chart = ElementTree.fromstring(svg.chart("t", [bar("a", 5), bar("b", 10)]))
        widths = [float(rect.get("width")) for rect in chart.iter(f"{SVG}rect")]
        self.assertAlmostEqual(widths[0] * 2, widths[1], delta=0.2)

    def test_a_bar_far_above_the_others_is_cut_and_marked(self):
        bars = [bar("a", 1), bar("b", 1), bar("c", 1), bar("d", 50)]
        chart = ElementTree.fromstring(svg.chart("t", bars))
        cuts = [path for path in chart.iter(f"{SVG}path") if path.get("class") == "cut"]
        self.assertEqual(len(cuts), 1)
        self.assertIn("50", "".join(chart.itertext()))

    def test_all_elements_are_inside_the_chart(self):
        chart = ElementTree.fromstring(svg.chart("t", [bar("a", 5, 1, 90), bar("b", 6)], 5, "f"))
        for element in chart.iter():
            for name in ("x", "width"):
                value = float(element.get(name) or 0)
                self.assertTrue(0 <= value <= svg.WIDTH, (element.tag, name, value))

    def test_names_are_escaped(self):
        ElementTree.fromstring(svg.chart("a < b & c", [bar("<x>", 1)], 1, "<floor>"))

    def test_a_chart_of_zeros_is_valid(self):
        ElementTree.fromstring(svg.chart("t", [bar("a", 0), bar("b", 0)]))


class Balance(HTMLParser):
    """Collects tags that are not closed, or closed in the wrong order."""

    VOID = {"meta", "rect", "path"}

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


class Page(unittest.TestCase):
    def page(self):
        """A report with a floor, a slower peer and an absent peer."""
        kinds = {"tenkay": "ours", "floor": "floor", "a": "peer", "b": "peer"}
        sample = {"cpu_us": 5.0, "rate": 1e5, "wall_us": 10.0, "resident": 1 << 20, "waited": 0.0}
        results = {
            "tenkay": {"samples": [sample], "absent": None},
            "floor": {"samples": [sample], "absent": None},
            "a": {"samples": [{**sample, "cpu_us": 9.0}], "absent": None},
            "b": {"samples": [], "absent": "wrong <answer>"},
        }
        summary = verdicts.summarise(scenarios.scenarios(100)[0], kinds, results)
        meta = {
            "date": "today",
            "machine": {"processor": "p", "system": "s"},
            "tools": {},
            "plan": {},
            "command": "scripts/compare",
            "warnings": ["one & only"],
        }
        server = {"name": "a", "title": "A", "version": "1", "settings": "x < y"}
        return report.page(meta, [summary], [server])

    def test_tags_are_balanced_and_texts_are_escaped(self):
        page = self.page()
        balance = Balance()
        balance.feed(page)
        self.assertEqual((balance.open, balance.wrong), ([], []))
        self.assertIn("wrong &lt;answer&gt;", page)
        self.assertIn("one &amp; only", page)

    def test_the_page_loads_no_external_resource(self):
        page = self.page().replace("http://www.w3.org/2000/svg", "")
        self.assertIsNone(re.search(r"https?://|<script|<link|@import|url\(", page))

    def test_the_page_has_a_light_and_a_dark_scheme(self):
        self.assertIn("prefers-color-scheme: dark", self.page())

    def test_the_mark_is_a_word_and_not_only_a_colour(self):
        self.assertIn("✓ won", self.page())


if __name__ == "__main__":
    unittest.main()
