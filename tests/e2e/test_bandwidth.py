"""Rate caps: streams are slowed and lose nothing, datagrams past it are dropped and counted."""

import hashlib
import select
import threading
import time
import unittest

import tandem_client as tc
from harness import Pattern, RelayTest, in_threads

MBIT = 1_000_000 / 8  # bytes
TOLERANCE = 0.15


class Meter:
    """Reads a stream to its end and notes when how much had come."""

    def __init__(self):
        self.marks: list[tuple[float, int]] = []
        self.hash = hashlib.sha256()

    def read(self, stream: tc.Stream) -> None:
        count = 0
        while chunk := stream.recv(65536):
            self.hash.update(chunk)
            count += len(chunk)
            self.marks.append((time.monotonic(), count))

    def came_between(self, begin: float, end: float) -> int:
        """Bytes that came in that time."""
        def at(moment: float) -> int:
            return max((count for when, count in self.marks if when <= moment), default=0)
        return at(end) - at(begin)

    def longest_gap(self, begin: float, end: float) -> float:
        times = [begin, *(when for when, _ in self.marks if begin <= when <= end), end]
        return max(later - earlier for earlier, later in zip(times, times[1:]))


class RateTest(RelayTest):
    def assertRate(self, flows, mbps: float, *, burst: float, seconds: float = 6.0):
        """All flows (source, sink) together run at mbps once the burst is spent. Each sends what
        fits into the time and not more, so that the test ends with it."""
        size = int((mbps * MBIT * seconds + burst * mbps * MBIT) / len(flows))
        meters = [Meter() for _ in flows]
        patterns = [Pattern(seed) for seed in range(len(flows))]

        def send(index: int):
            for chunk in patterns[index].chunks(size):
                flows[index][0].sendall(chunk)
            flows[index][0].finish()

        begin = time.monotonic()
        in_threads(*[lambda index=index: send(index) for index in range(len(flows))],
                   *[lambda meter=meter, sink=sink: meter.read(sink)
                     for meter, (_, sink) in zip(meters, flows)], timeout=seconds * 4 + 20)
        for index, meter in enumerate(meters):
            self.assertEqual(meter.hash.hexdigest(), patterns[index].digest(size),
                             "nothing is lost by being slowed")
        # The first second spends the burst; the last one may have ended for some.
        first, last = begin + 1.0, begin + seconds - 1.0
        came = sum(meter.came_between(first, last) for meter in meters)
        rate = came / (last - first) / MBIT
        print(f"{self.id()}: {rate:.2f} Mbit/s at a cap of {mbps}")
        self.assertAlmostEqual(rate, mbps, delta=mbps * TOLERANCE)
        return meters, first, last

    def connect(self, tokens=None, **options):
        return self.stream_pair(tokens, timeout=60, **options)


class SessionCapTest(RateTest):
    config = {"bandwidth.session_mbps": 8, "bandwidth.window_s": 0.5, "bandwidth.burst": 1.0}

    def test_a_stream_is_slowed_smoothly(self):
        a, b = self.connect()
        with self.counted("rate pauses"):
            (meter,), first, last = self.assertRate([(a, b)], 8, burst=0.5)
        self.assertLess(meter.longest_gap(first, last), 0.5)

    def test_both_directions_together(self):
        a, b = self.connect()
        self.assertRate([(a, b), (b, a)], 8, burst=0.5)

    def test_all_lanes_together(self):
        tokens = self.tokens()
        lanes = [self.connect(tokens, lane=lane) for lane in range(3)]
        self.assertRate(lanes, 8, burst=0.5)

    def test_sessions_do_not_share_a_cap(self):
        self.assertRate([self.connect(), self.connect()], 16, burst=0.5)

    def test_a_token_lowers_it(self):
        self.assertRate([self.connect(self.tokens(rate_kbps=3000))], 3, burst=0.5)

    def test_the_smaller_of_two_tokens_holds(self):
        session = tc.fresh_session_id()
        tokens = (self.tokens(session, rate_kbps=0)[0], self.tokens(session, rate_kbps=2000)[1])
        self.assertRate([self.connect(tokens)], 2, burst=0.5)

    def test_half_close_and_reset_are_seen_while_slowed(self):
        a, b = self.connect()
        stuck = threading.Thread(target=_push_until_error, args=(a,), daemon=True)
        stuck.start()
        self.assertEqual(len(b.read_exactly(1_000_000)), 1_000_000)
        b.reset()
        self.assertTrue(a.failed(5))
        stuck.join(10)

    def test_datagrams_past_it_are_dropped_and_counted(self):
        a, b = self.datagram_pair(receive_buffer=4 << 20)
        before = self.relay.metrics()
        sent, came, begin = 0, [], time.monotonic()
        payload = bytes(1000)
        while (passed := time.monotonic() - begin) < 5:
            while sent < passed * 3000:  # 24 Mbit/s
                a.send(payload)
                sent += 1
            while b.recv(0.0005) is not None:
                came.append(time.monotonic() - begin)
        while b.recv(0.3) is not None:
            came.append(time.monotonic() - begin)
        rate = sum(1 < when <= 5 for when in came) * len(payload) / 4 / MBIT
        print(f"datagrams: {rate:.2f} Mbit/s at a cap of 8, {len(came)} of {sent}")
        self.assertAlmostEqual(rate, 8, delta=8 * TOLERANCE)
        dropped = (self.relay.metrics().total("drop over bandwidth")
                   - before.total("drop over bandwidth"))
        self.assertEqual(sent - len(came), dropped)
        self.assertDatagramsBalance()

    def test_datagrams_below_it_all_pass(self):
        a, b = self.datagram_pair()
        begin = time.monotonic()
        for number in range(2000):
            while time.monotonic() - begin < number / 700:  # 5.6 Mbit/s
                select.select([], [], [], 0.001)
            a.send(number.to_bytes(4, "big") + bytes(996))
            self.assertEqual(b.recv(3.0)[:4], number.to_bytes(4, "big"))


class GlobalCapTest(RateTest):
    config = {"bandwidth.global_mbps": 16, "bandwidth.window_s": 0.5, "bandwidth.burst": 1.0,
              "engine.shards": 1}

    def on_shard(self, shard: int):
        session = tc.fresh_session_id() & ~0xFF | shard
        return self.connect(self.tokens(session))

    def test_one_session_may_use_it_all(self):
        self.assertRate([self.on_shard(0)], 16, burst=0.5)

    def test_sessions_share_it(self):
        pairs = [self.on_shard(number) for number in range(4)]
        meters, first, last = self.assertRate(pairs, 16, burst=0.5)
        for meter in meters:
            share = meter.came_between(first, last) / (last - first) / MBIT
            self.assertGreater(share, 1.0, "nobody starves")


class GlobalCapOfTwoShardsTest(GlobalCapTest):
    """Shards share it by demand: an idle one leaves its part to the other."""

    config = GlobalCapTest.config | {"engine.shards": 2}


def _push_until_error(stream: tc.Stream) -> None:
    try:
        while True:
            stream.sendall(bytes(65536))
    except OSError:
        pass


if __name__ == "__main__":
    unittest.main()
