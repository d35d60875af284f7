#!/usr/bin/env python3
"""Draws sample reports with the report's page in headless Chromium: what has to stand in it does,
no script fails, and nothing of a report becomes an element. Leaves pictures, light and dark.

usage: test_report_page.py PAGE FOLDER_OF_PICTURES [unittest option]...
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zlib
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import report_samples

SKIPPED = 77
MARKER = "/*REPORT*/null"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# As root there is no sandbox; the rest keeps the browser from the network.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars"]
THEMES = {"light": 1, "dark": 0}  # Blink's PreferredColorScheme
BACKGROUNDS = {"light": (0xF5, 0xF6, 0xF8), "dark": (0x14, 0x17, 0x1C)}
START_TIMEOUT_S = 60
WIDTH = 1180

# Each page: its report, the height of its picture, and in which themes it is drawn.
PAGES = {
    "run": (report_samples.run(), 3900, THEMES),
    "comparison": (report_samples.comparison(), 2050, THEMES),
    "bare": (report_samples.bare_run(), 800, ["light"]),
    "none": (None, 800, ["light"]),
}
DRAWN = {}  # (DOM, picture) by page and theme


class Dom(HTMLParser):
    """A page as the browser left it: elements by tag, with their attributes and text."""

    VOID = {"br", "hr", "img", "input", "link", "meta"}

    def __init__(self, page):
        super().__init__()
        self.elements = []  # [tag, attributes, text]
        self._open = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        element = [tag, dict(attrs), ""]
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self._open.pop()[0] == tag, f"a stray </{tag}>"

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def all(self, tag, **attributes):
        """Those of a tag with these attributes; `kind` is one of their classes."""
        kind = attributes.pop("kind", None)
        return [(attrs, text) for name, attrs, text in self.elements if name == tag
                and attributes.items() <= attrs.items()
                and (kind is None or kind in attrs.get("class", "").split())]

    def texts(self, tag, **attributes):
        return [text for _, text in self.all(tag, **attributes)]

    def rows(self):
        """Each table row as its cells' texts."""
        rows = []
        for tag, _, text in self.elements:
            if tag == "tr":
                rows.append([])
            elif tag in ("th", "td"):
                rows[-1].append(text)
        return rows

    def plots(self):
        """What each plot tells those who cannot see it, by its title."""
        labels = [attrs["aria-label"] for attrs, _ in self.all("svg", role="img")]
        return dict(label.split(": ", 1) for label in labels if ": " in label)


def first_pixel(picture):
    """Red, green and blue of a PNG's upper left corner, which no row filter changes."""
    data, at, packed = picture.read_bytes(), 8, b""
    while at < len(data):
        size, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        packed += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return tuple(zlib.decompressobj().decompress(packed, 4)[1:])


def setUpModule():
    # A start mostly waits, so that several together take little longer than one.
    wanted = [(name, theme) for name, (_, _, themes) in PAGES.items() for theme in themes]
    with ThreadPoolExecutor(3) as pool:
        DRAWN.update(zip(wanted, pool.map(lambda one: draw(*one), wanted)))


def draw(name, theme):
    report, height, _ = PAGES[name]
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(MARKER) == 1
    if report is not None:
        # "<" stands in JSON's strings alone, and could end the script that holds it.
        page = page.replace(MARKER, json.dumps(report).replace("<", "\\u003c"))
    source = PICTURES / f"report-{name}-{theme}.html"
    source.write_text(page, encoding="utf-8")
    picture = PICTURES / f"report-{name}-{theme}.png"
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="tandem-", ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}",
             f"--blink-settings=preferredColorScheme={THEMES[theme]}", "--dump-dom",
             f"--screenshot={picture}", source.as_uri()],
            capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
    if done.returncode != 0 or not picture.exists():
        raise AssertionError(f"{CHROMIUM} ended with {done.returncode}:\n{done.stderr}")
    return Dom(done.stdout), picture


class Page(unittest.TestCase):
    def check_sound(self, dom):
        """What holds for every report."""
        self.assertEqual(dom.texts("p", id="script-error"), [])
        for tag, attributes, text in dom.elements:
            if tag in ("script", "html", "body", "style"):
                continue
            self.assertNotEqual(attributes.get("class"), "escaped", "a text became an element")
            for value in (text, *attributes.values()):
                slip = re.search(r".{0,40}(NaN|undefined|Infinity|\[object).{0,20}", value or "")
                self.assertIsNone(slip, f"<{tag}>: {slip}")

    def check_themes(self, name):
        for theme in THEMES:
            _, picture = DRAWN[name, theme]
            print(f"{name}, {theme}: {picture}")
            self.assertEqual(first_pixel(picture), BACKGROUNDS[theme])


class Run(Page):
    def test_a_run_with_everything(self):
        report = PAGES["run"][0]
        dom, _ = DRAWN["run", "light"]
        self.check_sound(dom)
        self.check_themes("run")
        self.assertEqual(dom.texts("h1"), ["tandem-bench udp✓ intact"])
        self.assertEqual(dom.texts("li"), report["warnings"])
        self.assertIn("packets per relay CPU-s578k", dom.texts("div", kind="card"))
        self.check_plots(dom, report)
        self.check_tables(dom.rows())

    def check_plots(self, dom, report):
        plots = dom.plots()
        self.assertEqual(list(plots), [
            "Delivered", "CPU in use", "Lost", "Latency by percentile", "Highest rate",
            "A message's p95", "Errors", "Batches by their size", "Dropped"])
        self.assertIn("5,000: rooms 625, memory 50 MB, CPU 83.3 %", plots["A message's p95"])
        self.assertTrue(plots["Errors"].startswith("timeout 12; "))
        self.assertEqual(plots["Dropped"], "over_rate 1,290; not_bound 402; bad_mac 37")
        self.assertIn("relay p50 61.0 µs", plots["Latency by percentile"])
        self.assertIn("≤ 32: batches 61,330, share 36.8 %", plots["Batches by their size"])
        # Delivered, relay's, generator's and machine's CPU, lost, two routes; and the two legends.
        self.assertEqual(len(dom.all("path", kind="curve")), 7 + 3 + 2)
        self.assertEqual(len(dom.all("path", kind="whisker")), 2 * len(report["limits"]))
        self.assertEqual(len(dom.all("rect", kind="fill-2")), len(report["limits"]) + 1)
        longest = max(len(attrs["d"]) for attrs, _ in dom.all("path", kind="curve"))
        self.assertGreater(longest, 1000, "the percentiles are a curve of their buckets")

    def check_tables(self, rows):
        self.assertIn(["packets per relay CPU-s", "578,413"], rows)
        self.assertIn(["relay CPU per million", "1.729 s"], rows)
        self.assertIn(["delivered", "1.14 GB"], rows)
        self.assertIn(["stolen CPU", "–"], rows)
        self.assertIn(["length", "200 B"], rows)
        self.assertIn(["rate", "2.50 Mbit/s"], rows)
        self.assertIn(["64", "1,184", "592", "50 %"], rows)  # a trial
        by_name = {row[0]: row for row in rows}
        self.assertEqual(by_name["relay"][1:3], ["20,000", "61.0 µs"])
        self.assertEqual(by_name["relay − direct"][1:3], ["", "37.0 µs"])
        self.assertEqual(by_name["1,000"][1:4], ["125", "26 MB", "–"])  # a step
        self.assertEqual(by_name["9 s"][1], "10 s")  # the last interval

    def test_a_run_with_little(self):
        dom, _ = DRAWN["bare", "light"]
        self.check_sound(dom)
        self.assertEqual(dom.texts("h1"), ["tandem-bench sessions✕ damaged"])
        self.assertRegex(dom.texts("li")[0], "interrupted")
        self.assertEqual(dom.plots(), {})
        self.assertIn(["resident per pair", "419 B"], dom.rows())

    def test_no_report(self):
        dom, _ = DRAWN["none", "light"]
        self.check_sound(dom)
        self.assertEqual(dom.texts("h1"), ["No report"])


class Comparison(Page):
    def test_a_comparison(self):
        report = PAGES["comparison"][0]
        dom, _ = DRAWN["comparison", "light"]
        self.check_sound(dom)
        self.check_themes("comparison")
        names = {target["target"] for target in report["targets"]}
        verdicts = [row[2] for row in dom.rows() if row[0] in names]
        self.assertEqual(verdicts, [
            "✓ must", "★ aim", "★ aim", "✕ below", "⚠ damaged", "not measured"])
        self.check_bars(dom, report)
        self.check_tables(dom, report)

    def check_bars(self, dom, report):
        plots = dom.plots()
        labels = [figure["label"] for one in report["experiments"] for figure in one["figures"]]
        self.assertEqual(list(plots), labels)
        # The best comes first.
        self.assertRegex(plots["Gbit/s delivered"], r"^direct [\d.]+ Gbit/s \(.* – .*\); tandem ")
        self.assertRegex(plots["Relay's CPU per GB"], "^tandem .*magic-wormhole-transit-relay")
        bars = sum(len(subject["figures"]) for one in report["experiments"]
                   for subject in one["subjects"])
        self.assertEqual(len(dom.texts("text", kind="value")), bars)
        targets = [target for target in report["targets"] if target["median"] is not None]
        # A bar's whisker; a target's, with the marks of must and aim.
        self.assertEqual(len(dom.all("path", kind="whisker")), bars + len(targets))
        self.assertEqual(len(dom.all("line", kind="whisker")), 2 * len(targets))

    def check_tables(self, dom, report):
        failure = f"✕ failed envoy: {report_samples.FAILED}"
        self.assertEqual(dom.texts("p", kind="failed"), [failure] * len(report["experiments"]))
        self.assertIn(["haproxy", "2.6.12-1+deb12u4"], dom.rows())
        coturn = [row for row in dom.rows() if row[0] == "coturn" and len(row) == 4]
        self.assertEqual(len(coturn), len(report["experiments"]))


if __name__ == "__main__":
    PAGE, PICTURES = map(Path, sys.argv[1:3])
    if CHROMIUM is None:
        print("skipped: chromium is not installed")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
