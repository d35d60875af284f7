"""tandem-bench latency: timed messages over every route, beside a direct leg."""

import unittest

from bench_case import BenchTest
from harness import V6
from stand_ins import GreetingRelay, MirroringUdpProxy, TcpProxy, UdpProxy

# From the first message on: then all that were delivered are in the distribution.
ALL = ("-t", "0.4", "-O", "0", "-i", "0.2", "-P", "10", "--rate", "400")


class LatencyTest(BenchTest):
    def latency(self, *arguments, code=0) -> dict:
        report = self.measure("latency", *ALL, *arguments, code=code)
        self.assertEqual(report["summary"]["measured"], "one_way")
        self.assertCarried(report)
        return report

    def assertAgainstDirect(self, report: dict, route: str):
        self.assertEqual([latency["name"] for latency in report["latency"]], [route, "direct"])
        summary, (relay, direct) = report["summary"], report["latency"]
        self.assertEqual(relay["count"], summary["delivered"])
        self.assertGreater(direct["count"], 0)
        for name in ("p50", "p90", "p99", "p999", "p9999"):
            self.assertEqual(summary[f"latency_{name}_us"], relay[f"{name}_us"])
            self.assertEqual(summary[f"direct_latency_{name}_us"], direct[f"{name}_us"])
            self.assertAlmostEqual(summary[f"latency_added_{name}_us"],
                                   relay[f"{name}_us"] - direct[f"{name}_us"])

    def test_tcp_through_the_relay(self):
        before = self.relay.metrics()
        report = self.latency("--transport", "tcp", *self.relay_route(), *self.watched())
        self.assertAgainstDirect(report, "relay")
        self.assertEqual(report["summary"]["delivered"], report["summary"]["sent"])
        self.assertStreamBytes(before, report["summary"]["sent"] * 128)

    def test_udp_through_the_relay(self):
        before = self.relay.metrics()
        report = self.latency("--transport", "udp", *self.relay_route(), *self.watched())
        self.assertAgainstDirect(report, "relay")
        self.assertDatagrams(before, report["summary"], 128)

    def test_straight(self):
        """There is nothing to compare it with."""
        for transport in ("tcp", "udp"):
            with self.subTest(transport):
                report = self.latency("--transport", transport, "--direct")
                self.assertEqual(len(report["latency"]), 1)
                self.assertEqual(report["latency"][0]["count"], report["summary"]["delivered"])

    def test_without_the_direct_leg(self):
        for transport in ("tcp", "udp"):
            with self.subTest(transport):
                report = self.latency("--transport", transport, "--no-direct", "--threads", "2",
                                      *self.relay_route(V6))
                self.assertEqual([latency["name"] for latency in report["latency"]], ["relay"])
                self.assertNotIn("direct_latency_p50_us", report["summary"])

    def test_lengths(self):
        for transport, length in (("tcp", 16), ("tcp", 20000), ("udp", 16), ("udp", 1464)):
            with self.subTest((transport, length)):
                self.latency("--transport", transport, "-l", length, "--no-direct",
                             *self.relay_route())

    def test_tokens_of_the_operators_endpoint(self):
        self.assertAgainstDirect(self.latency(*self.tokens_from_daemon()), "relay")

    def test_through_proxies(self):
        with TcpProxy() as proxy:
            report = self.latency("--via", proxy.place, "--sink", proxy.sink_port)
            self.assertAgainstDirect(report, "proxy")
        for kind, port in ((UdpProxy, None), (MirroringUdpProxy, "127.0.0.2:*")):
            with self.subTest(kind), kind() as proxy:
                report = self.latency("--transport", "udp", "--via", proxy.place,
                                      "--sink", port or proxy.sink_port)
                self.assertAgainstDirect(report, "proxy")
                self.assertEqual(proxy.payloads, report["summary"]["sent"])

    def test_through_a_relay_that_pairs_by_greetings(self):
        with GreetingRelay() as relay:
            greetings = self.folder / "greetings"
            greetings.write_text(relay.greetings(10))
            report = self.latency("--pairing", relay.place, "--greetings", greetings)
            self.assertAgainstDirect(report, "greeted")

    def test_the_warm_up_is_not_in_the_distribution(self):
        report = self.measure("latency", "-t", "0.3", "-O", "0.5", "-P", "4", "--rate", "1000",
                              "--no-direct", *self.relay_route())
        self.assertLess(report["latency"][0]["count"], report["summary"]["delivered"])


class FindLimitTest(BenchTest):
    """tandem-bench find-limit: a search is long, so this is all of it."""

    SEARCH = ("find-limit", "-t", "0.2", "-O", "0.1", "-P", "20", "--resolution", "0.3")

    def limits(self, repeat: int, *arguments) -> list[dict]:
        report = self.measure(*self.SEARCH, "--repeat", repeat, *arguments)
        for limit in report["limits"]:
            for name in ("ndr", "pdr"):
                self.assertLessEqual(limit[f"{name}_low"], limit[f"{name}_kpps"])
                self.assertLessEqual(limit[f"{name}_kpps"], limit[f"{name}_high"])
                if repeat == 1:
                    self.assertEqual(limit[f"{name}_low"], limit[f"{name}_high"])
                self.assertEqual(report["summary"][f"{name}_kpps_{limit['size']}"],
                                 limit[f"{name}_kpps"])
            self.assertLessEqual(limit["ndr_kpps"], limit["pdr_kpps"])
            self.assertTrue(limit["trials"])
            for trial in limit["trials"]:
                self.assertTrue(0 <= trial["lost_fraction"] <= 1, trial)
            self.assertTrue(any(trial["offered_kpps"] > 0 for trial in limit["trials"]))
        return report["limits"]

    def test_sizes(self):
        limits = self.limits(1, "--sizes", "200,imix", *self.relay_route(), *self.watched())
        self.assertEqual([limit["size"] for limit in limits], ["200", "imix"])

    def test_repetitions(self):
        limit, = self.limits(2, "--sizes", "64", "--resolution", "0.5", "--direct")
        self.assertGreater(len(limit["trials"]), 2)


if __name__ == "__main__":
    unittest.main()
