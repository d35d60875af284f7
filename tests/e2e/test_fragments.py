"""Paths with a smaller MTU, in a network namespace that this file makes for itself.

Clients may send what the network fragments; the relay gets it whole. The relay itself sends with DF
set and drops, counted, what its link does not take.
"""

import os
import socket
import subprocess
import sys
import unittest

from blast import Blast
from harness import V4, V6, RelayTest, eventually, scaled

INSIDE = "TANDEM_E2E_NAMESPACE"
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
IP = "/usr/sbin/ip" if os.path.exists("/usr/sbin/ip") else "ip"


def ip(*arguments: str) -> None:
    subprocess.run([IP, *arguments], check=True)


def set_up_loopback(mtu: int) -> None:
    ip("link", "set", "lo", "mtu", str(mtu))
    ip("link", "set", "lo", "up")


class NamespaceTest(RelayTest):
    config = {"security.max_packet_size": 9000}

    def tearDown(self):
        self.assertDatagramsBalance()

    def allow_fragments(self, *ends):
        for end in ends:
            end.sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)

    def fragments_made(self) -> int:
        names, values = [line.split()[1:] for line in open("/proc/self/net/snmp")
                         if line.startswith("Ip:")]
        return int(values[names.index("FragCreates")])


class FragmentedTest(NamespaceTest):
    """The way to the relay is narrow, the relay's own link is not."""

    @classmethod
    def setUpClass(cls):
        set_up_loopback(65536)
        ip("route", "replace", "local", V4, "dev", "lo", "table", "local", "mtu", "lock", "1500")
        super().setUpClass()

    def test_fragmented_datagrams_arrive_whole(self):
        a, b = self.datagram_pair(receive_buffer=4 << 20, source="127.0.0.2")
        self.allow_fragments(a, b)
        before = self.fragments_made()
        runs = [Blast(*ends, count=scaled(5_000, 100_000), window=64 * 1024, seed=seed,
                      sizes=(1, 8992), timeout=scaled(30, 90))
                for seed, ends in enumerate(((a, b), (b, a)), 1)]
        for run in runs:
            outcome = run.outcome()
            print(f"fragmented: {outcome}")
            self.assertEqual((outcome.lost, outcome.corrupt, outcome.late), (0, 0, 0))
        self.assertGreater(self.fragments_made() - before, scaled(5_000, 100_000))


class NarrowLinkTest(NamespaceTest):
    """The relay's link takes 1,500 bytes."""

    @classmethod
    def setUpClass(cls):
        set_up_loopback(1500)
        super().setUpClass()

    def test_max_payload(self):
        for hosts, payload in (((V4, V4), 1464), ((V6, V6), 1444), ((V4, V6), 1444)):
            with self.subTest(hosts):
                for end in self.datagram_pair(hosts=hosts):
                    self.assertEqual(end.bound.max_payload, payload)

    def test_before_the_peer_came_it_is_this_sides_own(self):
        self.assertEqual(self.datagrams(self.tokens()[0]).bind().max_payload, 1464)

    def test_max_payload_passes_and_one_more_is_counted(self):
        a, b = self.datagram_pair()
        self.allow_fragments(a, b)
        a.send(bytes(1464))
        self.assertEqual(b.recv(3.0), bytes(1464))
        with self.counted("too big for the link", exactly=1):
            a.send(bytes(1465))
        self.assertIsNone(b.recv(0.3))
        self.assertExchange(a, b)

    def test_a_probe_past_the_path_gets_no_answer(self):
        a, _ = self.datagram_pair()
        self.allow_fragments(a)
        self.assertEqual(len(a.ping(bytes(1472 - 16)).rest), 1472 - 16)
        self.assertIsNone(a.ping(bytes(1473 - 16), timeout=0.5))
        self.assertTrue(eventually(lambda: a.ping() is not None))


def enter_namespace() -> None:
    """Runs this file again under unshare; without the right to, the test is skipped (77)."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*command, IP, "link"], capture_output=True).returncode:
        print("network namespaces are not permitted here: skipped")
        sys.exit(77)
    os.execvpe(command[0], [*command, sys.executable, __file__, *sys.argv[1:]],
               os.environ | {INSIDE: "1"})


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter_namespace()
    unittest.main()
