"""The program as a whole, with a generator made up here: what it writes, and that it leaves nothing
running."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import processes

RUN = pathlib.Path(processes.__file__).resolve().parent / "run"
PATIENCE_S = 20
GENERATOR = """#!/bin/sh
# Says that it runs, and does so until it is stopped.
echo "$@" >"$0.ran"
sleep 60
"""


def await_that(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


class Comparison(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = pathlib.Path(folder.name)
        self.generator = self.build / "tandem-bench"
        self.generator.write_text(GENERATOR)
        self.generator.chmod(0o755)
        self.core = min(os.sched_getaffinity(0))

    def command(self, *arguments):
        return [RUN, "--no-install", "--build", self.build, "--cpus", f"{self.core},{self.core}",
                *arguments]

    def report(self):
        return json.loads((self.build / "compare.json").read_text())

    def test_without_a_relay_there_is_a_report_all_the_same(self):
        done = subprocess.run(self.command("R3"), capture_output=True, text=True,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1)
        [row] = self.report()["targets"]
        self.assertEqual((row["target"], row["verdict"]), ("R3", "not measured"))
        self.assertIn("scripts/build", row["text"])
        self.assertIn("not measured", done.stdout)

    def test_targets_that_are_not_measured_here(self):
        done = subprocess.run(self.command("R5"), capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("are tests", done.stderr)

    def test_a_peer_that_was_not_installed_is_a_row_that_says_so(self):
        done = subprocess.run(self.command("--peers", "T14"), capture_output=True, text=True,
                              timeout=PATIENCE_S)
        self.assertRegex(done.stdout, r"npm socket\.io +failed: .*not installed")

    @unittest.skipUnless(shutil.which("haproxy", path="/usr/sbin:/usr/bin"), "no haproxy")
    def test_a_signal_ends_it_with_what_it_had_and_nothing_is_left(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                self.end_by(number)

    def end_by(self, number):
        ran = pathlib.Path(f"{self.generator}.ran")
        ran.unlink(missing_ok=True)
        running = subprocess.Popen(self.command("--peers", "T11"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        await_that(lambda: ran.exists() and "--pid" in ran.read_text())
        words = ran.read_text().split()
        peer = int(words[words.index("--pid") + 1])
        self.assertEqual(processes.group_members(peer).count(peer), 1)
        running.send_signal(number)
        self.assertEqual(running.wait(PATIENCE_S), 130)
        self.assertEqual(processes.group_members(peer), [])
        self.assertTrue(self.report()["interrupted"])


if __name__ == "__main__":
    unittest.main()
