"""A relay whose own caps are the limit: tandem-bench says so, with the setting's name, and calls
nothing damaged that is only slow."""

import json
import unittest

from bench_case import BenchTest

TIME = ("-t", "0.6", "-O", "0", "-P", "1")


class CapsTest(BenchTest):
    config = {"security.packets_per_second": 1000, "bandwidth.session_mbps": 1}

    def capped(self, mode: str, *arguments) -> dict:
        return self.measure(mode, *self.calls(*arguments))

    def calls(self, *arguments) -> list:
        return [*TIME, *arguments, *self.relay_route(), "--metrics", self.metrics_url()]

    def assertWarned(self, report: dict, reason: str, setting: str):
        count = report["relay"]["dropped"][reason]
        self.assertGreater(count, 0)
        warning, = (text for text in report["warnings"] if reason in text)
        self.assertIn(setting, warning)
        self.assertIn(str(count), warning)

    def test_packet_rate(self):
        """Short ones, so that they stay below the bandwidth."""
        before = self.relay.metrics()
        report = self.capped("udp", "-l", "16", "--rate", "10000")
        self.assertWarned(report, "over_packet_rate", "security.packets_per_second")
        self.assertNotIn("over_session_bandwidth", report["relay"]["dropped"])
        self.assertDatagrams(before, report["summary"], 16)
        self.assertGreaterEqual(report["summary"]["lost"],
                                report["relay"]["dropped"]["over_packet_rate"])

    def test_bandwidth_of_datagrams(self):
        """Long ones, so that they stay below the packet rate."""
        report = self.capped("udp", "-l", "1400", "--rate", "700")
        self.assertWarned(report, "over_session_bandwidth", "bandwidth.session_mbps")
        self.assertNotIn("over_packet_rate", report["relay"]["dropped"])

    def test_size(self):
        report = self.measure("latency", "--transport", "udp", "--no-direct", *TIME, "-l", "1472",
                              "--rate", "50", *self.relay_route(), "--metrics", self.metrics_url(),
                              code=2)
        self.assertWarned(report, "too_large", "security.max_packet_size")
        self.assertEqual(report["summary"]["lost"], report["summary"]["sent"])

    def test_bandwidth_of_streams(self):
        """A little over what is free at once, so that all of it comes in the end."""
        report = self.capped("tcp", "-b", "8M")
        self.assertWarned(report, "paused_at_bandwidth_cap", "bandwidth.session_mbps")
        self.assertEqual(report["summary"]["lost_bytes"], 0)
        self.assertNotIn("under_way_bytes", report["summary"])

    def test_what_outlasts_the_patience_is_not_damaged(self):
        """As much as goes fills buffers that take the cap longer than tandem-bench waits."""
        calls = {"under_way_bytes": ("tcp",),
                 "under_way": ("latency", "--transport", "tcp", "--no-direct", "-l", "20000",
                               "--rate", "200")}
        running = {key: self.spawn(mode, *self.calls(*more), "-J")
                   for key, (mode, *more) in calls.items()}
        for key, bench in running.items():
            with self.subTest(calls[key]):
                done = bench.finish()
                self.assertEqual((done.code, done.stderr), (0, ""), done.stdout)
                report = json.loads(done.stdout)
                summary = report["summary"]
                self.check_report(report)
                self.assertWarned(report, "paused_at_bandwidth_cap", "bandwidth.session_mbps")
                self.assertGreater(summary[key], 0)
                self.assertEqual(summary[key.replace("under_way", "lost")], 0)
                self.assertTrue(any("slower than its buffers" in text
                                    for text in report["warnings"]))

    def test_below_the_caps_nothing_is_warned_of(self):
        for arguments in (("udp", "-l", "100", "--rate", "100"), ("tcp", "-b", "100K")):
            with self.subTest(arguments):
                report = self.capped(*arguments)
                self.assertEqual(report["relay"]["dropped"], {})
                self.assertFalse(any("cap" in text for text in report["warnings"]))


class WithoutCapsTest(BenchTest):
    def test_the_relays_own_view(self):
        report = self.measure("udp", "-t", "0.3", "-O", "0", "-P", "20", *self.relay_route(),
                              "--metrics", self.metrics_url())
        sizes = report["relay"]["batch_sizes"]
        self.assertEqual(sizes[-1][0], "+Inf")
        self.assertGreater(sum(count for _, count in sizes), 0)
        uppers = [float(upper) for upper, _ in sizes]
        self.assertEqual(uppers, sorted(uppers))
        report = self.measure("tcp", "-t", "0.3", "-O", "0", *self.relay_route(), "--metrics",
                              self.metrics_url())
        self.assertTrue(0 <= report["relay"]["zero_copy_share"] <= 1)


if __name__ == "__main__":
    unittest.main()
