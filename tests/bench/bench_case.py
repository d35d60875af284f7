"""Runs the tandem-bench of the build under test against daemons of its own, and looks at what it
reports. Daemons, ports and environment are as in tests/e2e, whose harness this is built on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
from harness import BUILD, V4, Metrics, RelayTest, clean_environment, eventually  # noqa: E402

BINARY = BUILD / "tandem-bench"
# Whatever a run waits for is bounded by it in less, on an idle machine.
PATIENCE_S = 90
SHORT = ("-t", "0.4", "-O", "0.1", "-i", "0.15")

harness.METRICS |= {
    "sessions opened": ("tandem_sessions_opened_total",),
    "datagram bytes": ("tandem_datagram_bytes_total",),
    "lost in the kernel": ("tandem_datagrams_lost_in_kernel_total",),  # at the daemon's sockets
}


@dataclass(frozen=True)
class Finished:
    code: int
    stdout: str
    stderr: str
    seconds: float


class Bench:
    """A tandem-bench that runs."""

    def __init__(self, *arguments, prefix=(), cwd=None):
        self.command = [*map(str, prefix), str(BINARY), *map(str, arguments)]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=cwd, env=clean_environment())

    def finish(self, timeout: float = PATIENCE_S) -> Finished:
        stdout, stderr = self.process.communicate(timeout=timeout)
        return Finished(self.process.returncode, stdout, stderr, time.monotonic() - self.began)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def catches_interrupts(self) -> bool:
        """False before it has set itself up, and after the first of them."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s+(\w+)", status, re.M)[1], 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()


class Server(Bench):
    """A `tandem-bench -s` that listens."""

    def __init__(self, *arguments, **options):
        super().__init__("-s", *arguments, **options)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise AssertionError(f"no server: {line}{self.finish(10).stderr}")
        self.port = int(line.rpartition(":")[2])


def on_a_machine_that_runs(check, attempts: int = 3):
    """For figures that are as expected unless some process stood still for half a second, which is
    how long tandem-bench waits for the last datagrams: once of so many times it did not."""
    for left in reversed(range(attempts)):
        try:
            return check()
        except AssertionError:
            if not left:
                raise


class BenchTest(RelayTest):
    """A daemon a class, as RelayTest has it, and tandem-bench."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tandem-bench-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def spawn(self, *arguments, kind=Bench, **options):
        bench = kind(*arguments, **options)
        self.addCleanup(bench.end)
        return bench

    def run_bench(self, *arguments, code: int = 0, **options) -> Finished:
        done = self.spawn(*arguments, **options).finish()
        self.assertEqual(done.code, code, f"{arguments}\n{done.stdout}{done.stderr}")
        return done

    def measure(self, *arguments, code: int = 0, **options) -> dict:
        """Runs it to its end and gives its report, which adds up."""
        done = self.run_bench(*arguments, "-J", code=code, **options)
        self.assertEqual(done.stderr, "")
        report = json.loads(done.stdout)
        self.check_report(report)
        self.assertEqual(report["summary"]["intact"], 1 if code == 0 else 0)
        return report

    # -- routes

    def relay_route(self, host: str = V4) -> list[str]:
        place = f"[{host}]" if ":" in host else host
        return ["--relay", f"{place}:{self.relay.port}", "--key-file", str(self.relay.key_file)]

    def tokens_from_daemon(self) -> list[str]:
        return ["--relay", f"{V4}:{self.relay.port}",
                "--api", f"http://{V4}:{self.relay.monitoring_port}",
                "--operator-token-file", self.relay.config["admin.token_file"]]

    def metrics_url(self) -> str:
        return f"http://{V4}:{self.relay.monitoring_port}/metrics"

    def watched(self) -> list[str]:
        return ["--pid", str(self.relay.process.pid), "--metrics", self.metrics_url()]

    # -- what the daemon says of a run

    def growth(self, before: Metrics, *names: str) -> float:
        now = self.relay.metrics()
        return sum(now.total(name) - before.total(name) for name in names)

    def assertStreamBytes(self, before: Metrics, count: int):
        """The daemon counted them too, no more and no less."""
        eventually(lambda: self.growth(before, "stream bytes") == count)
        self.assertEqual(self.growth(before, "stream bytes"), count)

    def assertDatagrams(self, before: Metrics, summary: dict, payload: int | None = None):
        """Each datagram that tandem-bench sent the daemon had, unless its socket was full (which
        the kernel counts by trains); what tandem-bench delivered the daemon had forwarded."""
        had = ("forwarded", "dropped")
        eventually(lambda: self.growth(before, *had) == summary["sent"], timeout=1)
        changes = self.relay.metrics().changes_since(before)
        if self.growth(before, "lost in the kernel"):
            self.assertLess(self.growth(before, *had), summary["sent"], changes)
        else:
            self.assertEqual(self.growth(before, *had), summary["sent"], changes)
        forwarded = self.growth(before, "forwarded")
        self.assertLessEqual(summary["delivered"], forwarded - self.growth(before, "unsent"))
        if payload is not None:
            self.assertEqual(self.growth(before, "datagram bytes"), forwarded * payload)

    # -- what a report says

    def check_report(self, report: dict):
        self.assertEqual(report["tool"], "tandem-bench")
        self.assertRegex(report["started_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertGreater(report["machine"]["cores"], 0)
        self.assertTrue(all(isinstance(text, str) for text in report["warnings"]))
        summary = report["summary"]
        if "delivered_bytes" in summary:
            self.check_intervals(summary, report.get("intervals", []))
        if "sent" in summary:
            self.check_packets(summary)
        for latency in report.get("latency", []):
            self.check_latency(latency)

    def check_intervals(self, summary: dict, intervals: list[dict]):
        wall_s = summary["wall_s"]
        self.assertAlmostEqual(summary["throughput_gbit_s"] * wall_s,
                               summary["delivered_bytes"] * 8 / 1e9)
        if not intervals:
            return
        self.assertEqual(intervals[0]["from_s"], 0)
        self.assertAlmostEqual(intervals[-1]["to_s"], wall_s)
        for one, next_one in zip(intervals, intervals[1:]):
            self.assertEqual(one["to_s"], next_one["from_s"])
        for one in intervals:
            seconds = one["to_s"] - one["from_s"]
            self.assertGreater(seconds, 0)
            self.assertAlmostEqual(one["gbit_s"] * seconds, one["bytes"] * 8 / 1e9)
            self.assertAlmostEqual(one["kpps"] * seconds, one["packets"] / 1e3)

        def total(key: str) -> float:
            return sum(one[key] for one in intervals)

        self.assertEqual(total("bytes"), summary["delivered_bytes"])
        for key in ("relay_cpu_s", "machine_cpu_s", "generator_cpu_s"):
            self.assertAlmostEqual(total(key), summary[key])
        if "delivered_kpps" in summary:
            self.assertAlmostEqual(total("packets"), summary["delivered_kpps"] * 1e3 * wall_s)

    def check_packets(self, summary: dict):
        """Sent and delivered are of the whole run, the warm-up among it."""
        self.assertLessEqual(summary["delivered"], summary["sent"])
        self.assertEqual(summary["sent"] - summary["delivered"],
                         summary["lost"] + summary.get("under_way", 0))
        if summary["sent"]:
            self.assertAlmostEqual(summary["lost_fraction"], summary["lost"] / summary["sent"])
        self.assertLessEqual(summary["delivered_kpps"] * summary["wall_s"] * 1e3,
                             summary["delivered"] + 1e-6)

    def check_latency(self, latency: dict):
        self.assertEqual(sum(count for _, count in latency["buckets"]), latency["count"])
        uppers = [upper for upper, _ in latency["buckets"]]
        self.assertEqual(uppers, sorted(set(uppers)))
        names = ("p50", "p90", "p95", "p99", "p999", "p9999", "max")
        quantiles = [latency[f"{name}_us"] for name in names]
        self.assertEqual(quantiles, sorted(quantiles))
        if latency["count"]:
            self.assertGreater(latency["p50_us"], 0)
            self.assertLessEqual(latency["max_us"], uppers[-1])

    def assertCarried(self, report: dict):
        """Something came through, and all of it as it was sent. Not necessarily in the measured
        time: a busy machine may have given these processes none of it."""
        summary = report["summary"]
        self.assertEqual(summary["intact"], 1)
        self.assertGreater(summary.get("delivered", summary.get("compared_bytes")), 0, report)
        for key in ("damaged", "duplicated", "lost_bytes"):
            self.assertEqual(summary.get(key, 0), 0, key)
