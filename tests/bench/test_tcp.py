"""tandem-bench tcp: every way to ask for it, over every route."""

import time
import unittest

from bench_case import SHORT, BenchTest, Server, on_a_machine_that_runs
from harness import V4, V6
from stand_ins import GreetingRelay, TcpProxy

WAYS = ((), ("-R",), ("--bidir", "-P", "3"), ("-P", "20", "--threads", "2"),
        ("-P", "1", "-l", "1000"), ("-w", "65536"))


class TcpTest(BenchTest):
    def bulk(self, *arguments) -> dict:
        report = self.measure("tcp", *SHORT, *arguments)
        self.assertEqual(report["mode"], "tcp")
        self.assertCarried(report)
        return report

    def test_through_the_relay(self):
        for way in WAYS:
            with self.subTest(way):
                report = self.bulk(*way, *self.relay_route(), *self.watched())
                self.assertEqual(report["options"]["route"], "relay")
                self.assertIn("relay", report)

    def test_the_relays_cpu(self):
        def once():
            summary = self.bulk(*self.relay_route(), *self.watched())["summary"]
            self.assertGreater(summary["relay_cpu_s"], 0)
            self.assertGreater(summary["relay_cpu_s_per_gb"], 0)

        on_a_machine_that_runs(once)

    def test_straight(self):
        for way in WAYS[1:4]:
            with self.subTest(way):
                report = self.bulk(*way, "--direct")
                self.assertEqual(report["summary"]["relay_cpu_s"], 0)

    def test_the_daemon_counts_the_same_bytes(self):
        """Verified in full, the bytes that were compared are all that came."""
        for way in ((), ("-R", "-P", "2"), ("--bidir", "--threads", "2")):
            with self.subTest(way):
                before = self.relay.metrics()
                report = self.bulk(*way, "--verify", "full", *self.relay_route())
                compared = report["summary"]["compared_bytes"]
                self.assertGreaterEqual(compared, report["summary"]["delivered_bytes"])
                self.assertStreamBytes(before, compared)

    def test_over_ipv6(self):
        self.bulk("--bidir", *self.relay_route(V6))

    def test_tokens_of_the_operators_endpoint(self):
        before = self.relay.metrics()
        self.bulk("-P", "4", *self.tokens_from_daemon())
        self.assertEqual(self.growth(before, "join PAIRED"), 4)

    def test_a_rate_is_an_upper_bound(self):
        """No more left than the rate allows in the time that the process lived."""
        rate, pairs = 8e6, 2
        for way, flows in (((), pairs), (("--bidir",), 2 * pairs)):
            with self.subTest(way):
                begin = time.monotonic()
                report = self.bulk(*way, "-b", "8M", "-P", pairs, "--verify", "full",
                                   *self.relay_route())
                most = (time.monotonic() - begin) * flows * rate / 8
                self.assertLessEqual(report["summary"]["compared_bytes"], most)

    def test_flows_get_shares(self):
        summary = self.bulk("--direct")["summary"]
        self.assertLessEqual(summary["least_flow_share"], 1)
        self.assertGreaterEqual(summary["most_flow_share"], 1)

    def test_through_a_proxy(self):
        for way in ((), ("-R",), ("--bidir", "-P", "2", "--verify", "full")):
            with self.subTest(way), TcpProxy() as proxy:
                report = self.bulk(*way, "--via", proxy.place, "--sink", proxy.sink_port)
                self.assertEqual(report["options"]["route"], "proxy")
                self.assertEqual(proxy.connections, report["options"]["pairs"])
                self.assertGreaterEqual(proxy.carried, report["summary"]["delivered_bytes"])

    def test_through_a_relay_that_pairs_by_greetings(self):
        pairs = 3
        for way in ((), ("--bidir",)):
            with self.subTest(way), GreetingRelay() as relay:
                greetings = self.folder / "greetings"
                greetings.write_text(relay.greetings(pairs))
                report = self.bulk(*way, "-P", pairs, "--pairing", relay.place,
                                   "--greetings", greetings)
                self.assertEqual(report["options"]["route"], "greeted")
                self.assertEqual(relay.paired, pairs)

    def test_where_a_server_has_the_other_ends(self):
        """It listens for the proxy, or says the other half of each greeting."""
        with TcpProxy() as proxy, GreetingRelay() as relay:
            server = self.spawn("-p", "0", "--sink", proxy.sink_port, "--pairing", relay.place,
                                kind=Server)
            client = ("-c", V4, "-p", server.port, "-P", "3")
            greetings = self.folder / "greetings"
            greetings.write_text(relay.greetings(3))
            for route in (("--via", proxy.place, "--sink", proxy.sink_port),
                          ("--pairing", relay.place, "--greetings", greetings)):
                with self.subTest(route):
                    self.bulk("--bidir", *client, *route)

    def test_as_iperf3_is_called(self):
        """Without a subcommand it is TCP."""
        report = self.measure("--direct", *SHORT)
        self.assertEqual(report["mode"], "tcp")


if __name__ == "__main__":
    unittest.main()
