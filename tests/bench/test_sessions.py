"""tandem-bench sessions and reflect: pairs that are joined and then silent, and what an unvalidated
source gets back."""

import unittest

from bench_case import BenchTest
from harness import V6, eventually
from stand_ins import GreetingRelay, TcpProxy

COUNT = 40


class SessionsTest(BenchTest):
    def sessions(self, *arguments, count: int = COUNT) -> dict:
        report = self.measure("sessions", "--count", count, "--in-flight", "16", *arguments)
        summary = report["summary"]
        self.assertEqual(report["mode"], "sessions")
        self.assertEqual(summary["pairs"], count)
        self.assertGreater(summary["pairs_per_s"], 0)
        self.assertEqual(summary["intact"], 1)
        return report

    def waits(self, report: dict, name: str) -> int:
        """How many were timed; the summary has their distribution."""
        latency, = report["latency"]
        self.assertEqual(latency["name"], name)
        for quantile in ("p50", "p99", "max"):
            self.assertEqual(report["summary"][f"{name}_{quantile}_us"], latency[f"{quantile}_us"])
        return latency["count"]

    def assertAllGone(self, before):
        if not eventually(lambda: self.relay.metric("streams") == 0, timeout=10):
            self.fail(f"streams are left; since:\n{self.relay.metrics().changes_since(before)}")

    def test_tcp(self):
        before = self.relay.metrics()
        report = self.sessions("--kind", "tcp", *self.relay_route(), *self.watched())
        self.assertEqual(self.waits(report, "time_to_paired"), 2 * COUNT)
        self.assertEqual(self.growth(before, "join PAIRED"), COUNT)
        self.assertEqual(report["summary"]["alive_share"], 1)
        self.assertGreater(report["summary"]["resident_bytes_before"], 0)
        self.assertAllGone(before)

    def test_udp(self):
        before = self.relay.metrics()
        report = self.sessions("--kind", "udp", *self.relay_route(), *self.watched())
        self.assertEqual(self.waits(report, "time_to_bound"), 2 * COUNT)
        self.assertEqual(self.growth(before, "sessions opened"), COUNT)
        self.assertEqual(report["summary"]["alive_share"], 1)
        self.assertGreater(report["summary"]["resident_bytes_after"], 0)

    def test_each_closed_once_it_is_joined(self):
        before = self.relay.metrics()
        report = self.sessions("--kind", "tcp", "--close", *self.relay_route(), *self.watched())
        self.assertNotIn("alive_share", report["summary"])
        self.assertAllGone(before)

    def test_watched_for_a_while(self):
        for kind in ("tcp", "udp"):
            with self.subTest(kind):
                report = self.sessions("--kind", kind, "--hold", "0.3", "--settle", "0.1",
                                       *self.relay_route(), *self.watched())
                summary = report["summary"]
                self.assertGreaterEqual(summary["quiet_s"], 0.3)
                self.assertGreaterEqual(summary["quiet_relay_cpu_percent"], 0)
                self.assertEqual(summary["alive_share"], 1)

    def test_over_ipv6(self):
        for kind in ("tcp", "udp"):
            with self.subTest(kind):
                self.sessions("--kind", kind, *self.relay_route(V6))

    def test_one_worker_and_several(self):
        for workers in (1, 4):
            with self.subTest(workers):
                self.sessions("--kind", "tcp", "--workers", workers, *self.relay_route())

    def test_tokens_of_the_operators_endpoint(self):
        for kind in ("tcp", "udp"):
            with self.subTest(kind):
                self.sessions("--kind", kind, *self.tokens_from_daemon(), count=5)

    def test_straight(self):
        self.sessions("--kind", "tcp", "--direct")

    def test_through_a_proxy(self):
        with TcpProxy() as proxy:
            self.sessions("--kind", "tcp", "--via", proxy.place, "--sink", proxy.sink_port)

    def test_through_a_relay_that_pairs_by_greetings(self):
        with GreetingRelay() as relay:
            greetings = self.folder / "greetings"
            greetings.write_text(relay.greetings(COUNT))
            report = self.sessions("--kind", "tcp", "--pairing", relay.place, "--greetings",
                                   greetings)
            self.assertEqual(relay.paired, COUNT)
            self.assertEqual(report["summary"]["alive_share"], 1)


class ReflectTest(BenchTest):
    def test_no_more_comes_back_than_was_sent(self):
        for route in (self.relay_route(), self.relay_route(V6), self.tokens_from_daemon()):
            with self.subTest(route):
                report = self.measure("reflect", *route)
                summary = report["summary"]
                self.assertEqual(report["mode"], "reflect")
                self.assertGreater(summary["probes"], 0)
                self.assertGreater(summary["sent_bytes"], 0)
                self.assertGreater(summary["returned_bytes"], 0)
                self.assertLessEqual(summary["worst_returned_per_sent"], 1)


if __name__ == "__main__":
    unittest.main()
