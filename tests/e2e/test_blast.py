"""Numbered and hashed datagrams by the million: order kept, loss only where it is counted."""

import unittest

from blast import Blast
from harness import V4, V6, RelayTest, scaled, socket_drops

COUNT = scaled(50_000, 1_000_000)


class BlastTest(RelayTest):
    # DATA's 8 bytes on top of the largest payload that a 1,500 byte link carries whole.
    config = {"security.max_packet_size": 1480}

    def tearDown(self):
        self.assertDatagramsBalance()

    def blast(self, a, b, *, count=COUNT, sizes=(1, 1472), window=128 * 1024):
        """Both ways at once; the outcomes, after every lost one was found in some counter."""
        before, kernel = self.relay.metrics(), self.drops(a, b)
        runs = [Blast(*ends, count=count, window=window, seed=seed, sizes=sizes,
                      timeout=scaled(60, 240)) for seed, ends in enumerate(((a, b), (b, a)), 1)]
        outcomes = [run.outcome() for run in runs]
        self.assertDatagramsBalance()
        dropped = self.relay.metric("dropped") - before.total("dropped")
        counted = dropped + self.drops(a, b) - kernel
        for outcome in outcomes:
            print(f"blast: {outcome}")
            self.assertEqual(outcome.sent, count)
            self.assertEqual((outcome.corrupt, outcome.late), (0, 0))
            self.assertEqual(outcome.received + outcome.lost, outcome.sent)
        lost = sum(outcome.lost for outcome in outcomes)
        self.assertEqual(lost, counted, "every loss has a counter, and no counter moves without")
        self.assertLessEqual(lost, 2 * count // 1000, "the window leaves no reason to lose")
        return outcomes

    def drops(self, *ends):
        ports = {self.relay.port} | {end.sock.getsockname()[1] for end in ends}
        return sum(socket_drops(port) for port in ports)

    def test_all_sizes(self):
        a, b = self.datagram_pair(receive_buffer=4 << 20)
        with self.bystander():
            self.blast(a, b)

    def test_families(self):
        for hosts in ((V6, V6), (V4, V6)):
            with self.subTest(hosts):
                a, b = self.datagram_pair(hosts=hosts, receive_buffer=4 << 20)
                self.blast(a, b, count=COUNT // 10)

    def test_one_size_in_trains(self):
        """What receive and segmentation offload act on."""
        for size in (1, 64, 1200, 1472):
            with self.subTest(size):
                a, b = self.datagram_pair(receive_buffer=4 << 20)
                self.blast(a, b, count=COUNT // 10, sizes=(size, size))

    def test_several_pairs_at_once(self):
        pairs = [self.datagram_pair(receive_buffer=4 << 20) for _ in range(4)]
        before = self.relay.metric("dropped") + sum(self.drops(*pair) for pair in pairs)
        runs = [Blast(a, b, count=COUNT // 10, window=32 * 1024, seed=seed, sizes=(1, 1472),
                      timeout=scaled(60, 240)) for seed, (a, b) in enumerate(pairs)]
        outcomes = [run.outcome() for run in runs]
        after = self.relay.metric("dropped") + sum(self.drops(*pair) for pair in pairs)
        for outcome in outcomes:
            self.assertEqual((outcome.sent, outcome.corrupt, outcome.late), (COUNT // 10, 0, 0))
        self.assertLessEqual(sum(outcome.lost for outcome in outcomes), after - before)


class LargeTest(RelayTest):
    """The operator may let larger ones pass; loopback carries them whole."""

    config = {"security.max_packet_size": 16384}

    def test_up_to_the_limit(self):
        a, b = self.datagram_pair(receive_buffer=4 << 20)
        before = self.relay.socket_drops()
        run = Blast(a, b, count=COUNT // 20, window=256 * 1024, seed=9,
                    sizes=(1, 16384 - 8), timeout=scaled(60, 240))
        outcome = run.outcome()
        self.assertEqual((outcome.corrupt, outcome.late), (0, 0))
        self.assertLessEqual(outcome.lost, self.relay.socket_drops() - before)
        with self.counted("drop too large", exactly=1):
            a.send(bytes(16384 - 7))


if __name__ == "__main__":
    unittest.main()
