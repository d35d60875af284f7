"""What tandem-bench writes: on a terminal, into pipes, as JSON, CSV and a page."""

import csv
import json
import os
import pty
import re
import select
import subprocess
import time
import unittest
from html.parser import HTMLParser

from bench_case import BINARY, PATIENCE_S, BenchTest
from harness import clean_environment

QUICK = ("-t", "0.5", "-O", "0.1", "-i", "0.1", "-P", "4")
MODES = (("tcp", *QUICK), ("udp", *QUICK), ("udp", "--train", *QUICK),
         ("latency", "--rate", "200", *QUICK),
         ("find-limit", "--sizes", "200", "--repeat", "1", "--resolution", "0.5", "-t", "0.1", "-O",
          "0", "-P", "4"),
         ("sessions", "--kind", "tcp", "--count", "10"),
         ("sessions", "--kind", "udp", "--count", "10"),
         ("reflect",))
SEARCH = MODES[4]


class Scripts(HTMLParser):
    """The text of a page's script elements, by their type."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: dict[str | None, str] = {}
        self._type: str | None = None
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self._inside = tag == "script"
        self._type = dict(attrs).get("type")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "script"

    def handle_data(self, data):
        if self._inside:
            self.texts[self._type] = self.texts.get(self._type, "") + data


class FilesTest(BenchTest):
    def run_with_files(self, *mode) -> tuple[dict, list[list[str]], str, str]:
        paths = {kind: self.folder / f"report.{kind}" for kind in ("json", "csv", "html")}
        for path in paths.values():
            path.write_text("what was there before" * 10_000)
        options = (word for kind, path in paths.items() for word in (f"--{kind}", path))
        done = self.run_bench(*mode, *self.relay_route(), *options)
        with open(paths["csv"], newline="") as file:
            rows = list(csv.reader(file))
        return (json.loads(paths["json"].read_text()), rows, paths["html"].read_text(),
                done.stdout)

    def test_each_mode_writes_them(self):
        for mode in MODES:
            with self.subTest(mode):
                report, rows, page, text = self.run_with_files(*mode)
                self.check_report(report)
                self.assertEqual(report["mode"], mode[0])
                embedded = Scripts(page).texts["application/json"]
                self.assertEqual(json.loads(embedded), report)
                self.check_text(text, report)
                self.check_csv(rows, report)

    def check_text(self, text: str, report: dict):
        self.assertIn(f"tandem-bench {report['version']} {report['mode']}, ", text)
        self.assertRegex(text, r"(?m)^  intact +yes$")
        for warning in report["warnings"]:
            self.assertIn(f"WARNING: {warning}\n", text)
        # A line an interval as it passes, before the report.
        lines = re.findall(r"(?m)^ *(\d+\.\d\d)-(\d+\.\d\d) ", text)
        self.assertEqual(len(lines), len(report.get("intervals", [])))
        for (begin, end), interval in zip(lines, report.get("intervals", [])):
            self.assertEqual((begin, end),
                             (f"{interval['from_s']:.2f}", f"{interval['to_s']:.2f}"))

    def check_csv(self, rows: list[list[str]], report: dict):
        head, *rest = rows
        self.assertTrue(all(len(row) == len(head) for row in rest))
        table = [dict(zip(head, row)) for row in rest]
        if "limits" in report:
            self.assertEqual([row["size"] for row in table],
                             [limit["size"] for limit in report["limits"]])
        elif "intervals" in report:
            *intervals, total = table
            self.assertEqual([int(row["bytes"]) for row in intervals],
                             [interval["bytes"] for interval in report["intervals"]])
            self.assertEqual(int(total["bytes"]), sum(int(row["bytes"]) for row in intervals))
        else:
            self.assertEqual(list(table[0]), list(report["summary"]))

    def test_json_alone(self):
        """With -J nothing else is on standard output, and nothing at all on standard error."""
        for mode in MODES[0], SEARCH, MODES[5]:
            with self.subTest(mode):
                done = self.run_bench(*mode, "-J", *self.relay_route())
                self.assertEqual(done.stderr, "")
                self.assertRegex(done.stdout, r"\A\{[^\n]+\}\n\Z")
                self.check_report(json.loads(done.stdout))

    def test_json_on_standard_output_and_in_a_file(self):
        path = self.folder / "report.json"
        done = self.run_bench("tcp", *QUICK, "--direct", "-J", "--json", path)
        self.assertEqual(done.stdout, path.read_text())

    def test_no_intervals(self):
        report = self.measure("tcp", "-t", "0.2", "-O", "0", "-i", "0", "-P", "2", "--direct")
        self.assertNotIn("intervals", report)
        done = self.run_bench("tcp", "-t", "0.2", "-O", "0", "-i", "0", "-P", "2", "--direct")
        self.assertTrue(done.stdout.startswith("tandem-bench "), done.stdout)

    def test_intervals_end_where_the_run_does(self):
        report = self.measure("tcp", "-t", "0.5", "-O", "0", "-i", "0.2", "-P", "2", "--direct")
        self.assertAlmostEqual(report["intervals"][-1]["to_s"], report["summary"]["wall_s"])

    def test_what_was_asked_for_is_told(self):
        options = self.measure("tcp", "-t", "0.2", "-O", "0.1", "-P", "3", "-l", "1000", "-R", "-b",
                               "1M", "--verify", "full", *self.relay_route())["options"]
        for key, value in {"route": "relay", "target": f"127.0.0.1:{self.relay.port}", "pairs": 3,
                           "threads": 1, "seconds": 0.2, "warm_up_s": 0.1, "length": "1000",
                           "verify": "full", "direction": "reverse"}.items():
            self.assertEqual(options[key], value, key)

    def test_the_files_of_a_run_that_fails_stay_empty(self):
        path = self.folder / "report.json"
        self.run_bench("tcp", "--relay", "127.0.0.1:1", *self.relay_route()[2:], "--json", path,
                       code=1)
        self.assertEqual(path.read_text(), "")


class TerminalTest(BenchTest):
    """Progress is for a person who looks on: notes on standard error where that is a terminal.
    They give way to the report."""

    def on_a_terminal(self, *arguments) -> tuple[str, str]:
        """Standard output, and what the terminal on standard error got."""
        ours, theirs = pty.openpty()
        try:
            output = self.folder / "output"
            with open(output, "w") as file:
                process = subprocess.Popen([str(BINARY), *map(str, arguments)], stdout=file,
                                           stderr=theirs, stdin=subprocess.DEVNULL,
                                           env=clean_environment())
            os.close(theirs)
            shown = self.read_all(ours)
            self.assertEqual(process.wait(PATIENCE_S), 0, shown)
        finally:
            os.close(ours)
        return output.read_text(), shown

    def read_all(self, terminal: int) -> str:
        shown = b""
        deadline = time.monotonic() + PATIENCE_S
        while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # EIO: the other side is closed
                return shown.decode()
            shown += chunk
        self.fail("it does not end")

    def assertGivesWay(self, shown: str):
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown[-80:]))

    def test_intervals_are_notes_where_json_is_the_output(self):
        stdout, shown = self.on_a_terminal("tcp", *QUICK, "--direct", "-J")
        report = json.loads(stdout)
        self.assertEqual(len(re.findall(r"\d s: [\d.]+ Gbit/s", shown)), len(report["intervals"]))
        self.assertGivesWay(shown)

    def test_intervals_are_lines_else(self):
        stdout, shown = self.on_a_terminal("tcp", *QUICK, "--direct")
        self.assertEqual(shown, "")
        self.assertRegex(stdout, r"Gbit/s")

    def test_trials_are_lines_or_notes(self):
        stdout, shown = self.on_a_terminal(*SEARCH, "--direct")
        self.assertRegex(stdout, r"(?m)^ +200 B .* offered .* delivered .* lost$")
        self.assertEqual(shown, "")
        stdout, shown = self.on_a_terminal(*SEARCH, "--direct", "-J")
        trials = json.loads(stdout)["limits"][0]["trials"]
        self.assertEqual(len(re.findall(r" offered ", shown)), len(trials))
        self.assertGivesWay(shown)

    def test_sessions_being_watched(self):
        stdout, shown = self.on_a_terminal("sessions", "--kind", "udp", "--count", "5", "--hold",
                                           "0.2", "--settle", "0", *self.relay_route())
        self.assertIn("watching them for 0.2 s", shown)
        self.assertGivesWay(shown)
        self.assertNotIn("watching", stdout)


if __name__ == "__main__":
    unittest.main()
