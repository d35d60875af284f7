"""tandem-bench udp: every way to ask for it, over every route that has datagrams."""

import json
import signal
import time
import unittest

from bench_case import SHORT, BenchTest, Server, on_a_machine_that_runs
from harness import V4, V6, eventually
from stand_ins import MirroringUdpProxy, UdpProxy

# Scattered in a closed loop, at a rate, a mix of sizes; trains.
WAYS = (("-P", "20"), ("-P", "20", "-R"), ("-P", "20", "--bidir", "--threads", "2"),
        ("-P", "20", "--rate", "500"), ("-P", "20", "-b", "20K"),
        ("-P", "20", "-l", "imix", "--bidir"), ("-P", "20", "--verify", "full"),
        ("--train",), ("--train", "-P", "3", "--rate", "6400", "-l", "700"))


class UdpTest(BenchTest):
    def datagrams(self, *arguments) -> dict:
        report = self.measure("udp", *SHORT, *arguments)
        self.assertEqual(report["mode"], "udp")
        self.assertCarried(report)
        return report

    def test_through_the_relay(self):
        for way in WAYS:
            with self.subTest(way):
                before = self.relay.metrics()
                report = self.datagrams(*way, *self.relay_route(), *self.watched())
                length = report["options"]["length"]
                self.assertDatagrams(before, report["summary"],
                                     None if length == "imix" else int(length))
                told = report["relay"]
                # The page is read before the pairs are joined and after the last datagram.
                batches = sum(count for _, count in told["batch_sizes"])
                self.assertGreater(batches, 0)
                self.assertLessEqual(batches, self.growth(before, "received"))

    def test_the_relays_cpu(self):
        def once():
            summary = self.datagrams("-P", "20", *self.relay_route(), *self.watched())["summary"]
            self.assertGreater(summary["relay_cpu_s"], 0)
            self.assertGreater(summary["packets_per_relay_cpu_s"], 0)

        on_a_machine_that_runs(once)

    def test_straight(self):
        for way in WAYS[2], WAYS[3], WAYS[5], WAYS[7]:
            with self.subTest(way):
                self.datagrams(*way, "--direct")

    def test_over_ipv6(self):
        self.datagrams("-P", "20", "--bidir", *self.relay_route(V6))

    def test_tokens_of_the_operators_endpoint(self):
        before = self.relay.metrics()
        summary = self.datagrams("-P", "4", *self.tokens_from_daemon())["summary"]
        self.assertDatagrams(before, summary, 200)

    def test_a_few_arrive_in_order_and_whole(self):
        """So few that no buffer overflows: nothing may be missing, whatever the machine does."""
        for route in (["--direct"], self.relay_route()):
            with self.subTest(route):
                on_a_machine_that_runs(lambda: self.check_a_few(*route))

    def check_a_few(self, *route):
        summary = self.datagrams("-P", "4", "--rate", "200", *route)["summary"]
        self.assertEqual(summary["delivered"], summary["sent"])
        self.assertEqual(summary["reordered"], 0)

    def test_a_relay_that_stands_still(self):
        """A closed loop goes on after it, and what came late is not lost."""
        def once():
            before = self.relay.metrics()
            bench = self.spawn("udp", "-P", "20", "-t", "1", "-O", "0", "-J", *self.relay_route())
            self.assertTrue(eventually(lambda: self.growth(before, "forwarded") > 1000, timeout=30))
            for _ in range(3):
                self.relay.signal(signal.SIGSTOP)
                try:
                    # Standing still is the load here: for more than the 20 ms after which what is
                    # silent is given up.
                    time.sleep(0.05)
                finally:
                    self.relay.signal(signal.SIGCONT)
                seen = self.growth(before, "forwarded")
                eventually(lambda: self.growth(before, "forwarded") > seen, timeout=0.5)
            summary = json.loads(bench.finish().stdout)["summary"]
            self.assertDatagrams(before, summary, 200)
            self.assertEqual(summary["delivered"], self.growth(before, "forwarded"))

        on_a_machine_that_runs(once)

    def test_lengths(self):
        for length in (8, 1464):
            with self.subTest(length):
                before = self.relay.metrics()
                summary = self.datagrams("-P", "4", "-l", length, "--rate", "200", "--verify",
                                         "full", *self.relay_route())["summary"]
                self.assertDatagrams(before, summary, length)

    def test_a_rate_is_divided_among_pairs_and_threads(self):
        options = self.datagrams("-P", "10", "-b", "16K", "--bidir", "--threads", "3",
                                 "--direct")["options"]
        self.assertEqual(options["datagrams_per_s"], 16e3 / 8 / 200 * 2 * 10)

    def test_through_a_proxy(self):
        for way in (("-P", "4", "--rate", "200"), ("-P", "4", "--rate", "200", "--bidir"),
                    ("-P", "1", "--train", "--rate", "640")):
            with self.subTest(way), UdpProxy() as proxy:
                report = self.datagrams(*way, "--via", proxy.place, "--sink", proxy.sink_port)
                self.assertEqual(report["options"]["route"], "proxy")
                if "--bidir" not in way:
                    self.assertTrue(eventually(
                        lambda: proxy.payloads == report["summary"]["sent"]))

    def test_through_a_proxy_that_mirrors_ports(self):
        for way in ((), ("--bidir",)):
            with self.subTest(way), MirroringUdpProxy() as proxy:
                report = self.datagrams(*way, "-P", "4", "--rate", "200", "--via", proxy.place,
                                        "--sink", f"{proxy.SINK}:*")
                self.assertEqual(proxy.payloads, report["summary"]["sent"])

    def test_where_a_server_listens_for_the_proxy(self):
        with UdpProxy() as proxy:
            server = self.spawn("-p", "0", "--sink", proxy.sink_port, kind=Server)
            self.datagrams("-c", V4, "-p", server.port, "-P", "3", "-b", "50K", "--bidir", "--via",
                           proxy.place, "--sink", proxy.sink_port)

    def test_as_iperf3_is_called(self):
        report = self.measure("-u", "--direct", "-P", "4", *SHORT)
        self.assertEqual(report["mode"], "udp")


if __name__ == "__main__":
    unittest.main()
