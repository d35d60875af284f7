"""Ctrl-C in the middle of each mode: what there is comes out, marked, and nothing is left behind. A
second one ends it at once."""

import json
import signal
import unittest
from pathlib import Path

from bench_case import Bench, BenchTest
from harness import eventually
from stand_ins import Silent, StalledProxy

LONG = ("-t", "300")


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class InterruptTest(BenchTest):
    def files(self) -> dict[str, Path]:
        return {kind: self.folder / f"report.{kind}" for kind in ("json", "csv", "html")}

    def begin(self, *arguments) -> Bench:
        options = [word for kind, path in self.files().items() for word in (f"--{kind}", path)]
        return self.spawn(*arguments, *self.relay_route(), *self.watched(), *options)

    def carries(self, before, *names) -> bool:
        return eventually(lambda: self.growth(before, *names) > 100, timeout=60)

    def interrupted(self, bench: Bench) -> dict:
        """Interrupts it, and gives the report that it leaves."""
        bench.interrupt()
        done = bench.finish()
        self.assertEqual((done.code, done.stderr), (0, ""), done.stdout)
        self.assertIn("WARNING: interrupted", done.stdout)
        self.assertRegex(done.stdout, r"intact +yes")
        files = self.files()
        report = json.loads(files["json"].read_text())
        self.check_report(report)
        self.assertIs(report["interrupted"], True)
        self.assertEqual(report["summary"]["intact"], 1)
        self.assertTrue(files["csv"].read_text())
        self.assertIn('"interrupted":true', files["html"].read_text())
        return report

    def test_under_load(self):
        for mode, moved in ((("tcp",), "stream bytes"), (("tcp", "--bidir"), "stream bytes"),
                            (("udp", "-P", "10"), "forwarded"), (("udp", "--train"), "forwarded"),
                            (("udp", "-P", "10", "-b", "100K"), "forwarded")):
            with self.subTest(mode):
                before = self.relay.metrics()
                bench = self.begin(*mode, *LONG, "-O", "0", "-i", "0.1")
                self.assertTrue(self.carries(before, moved))
                report = self.interrupted(bench)
                self.assertLess(report["summary"]["wall_s"], 300)

    def test_before_the_warm_up_is_over(self):
        for mode, moved in (("tcp", "stream bytes"), ("udp", "forwarded")):
            with self.subTest(mode):
                before = self.relay.metrics()
                bench = self.begin(mode, "-P", "2", *LONG, "-O", "300")
                self.assertTrue(self.carries(before, moved))
                self.interrupted(bench)

    def test_latencies(self):
        for transport, moved in (("tcp", "stream bytes"), ("udp", "forwarded")):
            with self.subTest(transport):
                before = self.relay.metrics()
                bench = self.begin("latency", "--transport", transport, "-P", "10", *LONG,
                                   "--no-direct", "-O", "0")
                self.assertTrue(self.carries(before, moved))
                report = self.interrupted(bench)
                self.assertGreater(report["latency"][0]["count"], 0)

    def test_in_the_direct_leg_of_latency(self):
        """Before anything went through the relay: that is no damage."""
        for transport in ("tcp", "udp"):
            with self.subTest(transport):
                bench = self.begin("latency", "--transport", transport, "-P", "10", *LONG)
                # A thread for each leg, and its own: both are joined.
                self.assertTrue(eventually(lambda: threads_of(bench.process.pid) == 3, timeout=30))
                self.interrupted(bench)

    def test_find_limit(self):
        before = self.relay.metrics()
        bench = self.begin("find-limit", "-P", "10", *LONG, "-O", "0", "--sizes", "200,64")
        self.assertTrue(self.carries(before, "forwarded"))
        report = self.interrupted(bench)
        self.assertEqual(len(report["limits"]), 1)

    def test_sessions_being_joined(self):
        """Workers too are gone when it is."""
        for kind in ("tcp", "udp"):
            with self.subTest(kind):
                before = self.relay.metrics()
                bench = self.begin("sessions", "--kind", kind, "--count", "8000", "--in-flight",
                                   "1", "--workers", "2")
                self.assertTrue(eventually(
                    lambda: self.growth(before, "sessions opened") > 20, timeout=30))
                workers = children_of(bench.process.pid)
                self.assertEqual(bool(workers), kind == "tcp")
                report = self.interrupted(bench)
                self.assertLess(report["summary"]["pairs"], 8000)
                self.assertTrue(eventually(lambda: not any(map(alive, workers))))

    def test_sessions_being_watched(self):
        for kind in ("tcp", "udp"):
            with self.subTest(kind):
                before = self.relay.metrics()
                bench = self.begin("sessions", "--kind", kind, "--count", "20", "--hold", "300")
                self.assertTrue(eventually(
                    lambda: self.growth(before, "sessions opened") == 20, timeout=30))
                report = self.interrupted(bench)
                self.assertEqual(report["summary"]["pairs"], 20)

    def test_no_children_are_left(self):
        """Of a run that ends by itself, too."""
        bench = self.begin("sessions", "--kind", "tcp", "--count", "20", "--hold", "300",
                           "--workers", "2")
        self.assertTrue(eventually(lambda: len(children_of(bench.process.pid)) == 2, timeout=30))
        workers = children_of(bench.process.pid)
        bench.process.kill()
        bench.finish()
        self.assertTrue(eventually(lambda: not any(map(alive, workers))))

    def test_sigterm_does_the_same(self):
        before = self.relay.metrics()
        bench = self.begin("tcp", *LONG)
        self.assertTrue(self.carries(before, "stream bytes"))
        bench.process.terminate()
        done = bench.finish()
        self.assertEqual(done.code, 0)
        self.assertIn("WARNING: interrupted", done.stdout)

    def test_a_second_one(self):
        """What is under way does not move, so the first one's orderly end takes its time."""
        with StalledProxy() as proxy:
            bench = self.spawn("tcp", "-P", "1", *LONG, "--via", proxy.place, "--sink",
                               proxy.sink_port)
            self.assertTrue(eventually(lambda: proxy.carried > 1 << 20, timeout=30))
            proxy.stalled.set()
            bench.interrupt()
            self.assertTrue(eventually(lambda: not bench.catches_interrupts(), timeout=10))
            self.assertIsNone(bench.process.poll())
            bench.interrupt()
            self.assertEqual(bench.finish().code, -signal.SIGINT)

    def test_before_the_run(self):
        """Nobody answers: there is nothing to tell, and it ends all the same."""
        for arguments in (("--relay", *self.relay_route()[2:]), ("-c",)):
            with self.subTest(arguments), Silent() as other:
                bench = self.spawn("tcp", arguments[0], other.place, *arguments[1:])
                self.assertTrue(eventually(lambda: other.connections > 0, timeout=30))
                bench.interrupt()
                done = bench.finish(30)
                self.assertEqual((done.code, done.stdout), (1, ""))
                self.assertRegex(done.stderr, r"\Atandem-bench: [^\n]+\n\Z")


if __name__ == "__main__":
    unittest.main()
