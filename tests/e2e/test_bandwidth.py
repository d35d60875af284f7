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


class Standstill:
    """Notices that the machine had no time for this process: what was measured then says nothing
    about the relay."""

    MOST = 0.25

    def __enter__(self):
        self._over = threading.Event()
        self.longest = 0.0
        self._watch = threading.Thread(target=self._run, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._watch.join()

    def _run(self):
        last = time.monotonic()
        while not self._over.wait(0.02):
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now


def undisturbed(measure):
    """What measure() gives; once more, and once more again, where the machine stood still."""
    for _ in range(3):
        with Standstill() as machine:
            result = measure()
        if machine.longest < Standstill.MOST:
            break
        print(f"the machine stood still for {machine.longest:.2f} s")
    return result


class RateTest(RelayTest):
    def assertRate(self, connect, mbps: float, *, burst: float):
        """The flows that connect() gives run at mbps together."""
        rate, *seen = undisturbed(lambda: self.measure(connect(), mbps, burst))
        print(f"{self.id()}: {rate:.2f} Mbit/s at a cap of {mbps}")
        self.assertAlmostEqual(rate, mbps, delta=mbps * TOLERANCE)
        return seen

    def measure(self, flows, mbps: float, burst: float, seconds: float = 6.0):
        """All flows (source, sink) together once the burst is spent. Each sends what fits into the
        time and not more, so that the test ends with it."""
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
        return came / (last - first) / MBIT, meters, first, last

    def connect(self, tokens=None, **options):
        return self.stream_pair(tokens, timeout=60, **options)


class SessionCapTest(RateTest):
    config = {"bandwidth.session_mbps": 8, "bandwidth.window_s": 0.5, "bandwidth.burst": 1.0}

    def test_a_stream_is_slowed_smoothly(self):
        with self.counted("rate pauses"):
            (meter,), first, last = self.assertRate(lambda: [self.connect()], 8, burst=0.5)
        self.assertLess(meter.longest_gap(first, last), 0.5)

    def test_both_directions_together(self):
        def connect():
            a, b = self.connect()
            return (a, b), (b, a)

        self.assertRate(connect, 8, burst=0.5)

    def test_all_lanes_together(self):
        def connect():
            tokens = self.tokens()
            return [self.connect(tokens, lane=lane) for lane in range(3)]

        self.assertRate(connect, 8, burst=0.5)

    def test_sessions_do_not_share_a_cap(self):
        self.assertRate(lambda: [self.connect(), self.connect()], 16, burst=0.5)

    def test_a_token_lowers_it(self):
        self.assertRate(lambda: [self.connect(self.tokens(rate_kbps=3000))], 3, burst=0.5)

    def test_the_smaller_of_two_tokens_holds(self):
        def connect():
            session = tc.fresh_session_id()
            return [self.connect((self.tokens(session, rate_kbps=0)[0],
                                  self.tokens(session, rate_kbps=2000)[1]))]

        self.assertRate(connect, 2, burst=0.5)

    def test_half_close_and_reset_are_seen_while_slowed(self):
        a, b = self.connect()
        stuck = threading.Thread(target=_push_until_error, args=(a,), daemon=True)
        stuck.start()
        self.assertEqual(len(b.read_exactly(1_000_000)), 1_000_000)
        b.reset()
        self.assertTrue(a.failed(5))
        stuck.join(10)

    def test_datagrams_past_it_are_dropped_and_counted(self):
        before = self.relay.metrics()
        sent = came = 0

        def measure() -> float:
            nonlocal sent, came
            offered, arrivals = self.offer_datagrams()
            sent, came = sent + offered, came + len(arrivals)
            return sum(1 < when <= 5 for when in arrivals) * 1000 / 4 / MBIT

        rate = undisturbed(measure)
        print(f"datagrams: {rate:.2f} Mbit/s at a cap of 8, {came} of {sent}")
        self.assertAlmostEqual(rate, 8, delta=8 * TOLERANCE)
        dropped = (self.relay.metrics().total("drop over bandwidth")
                   - before.total("drop over bandwidth"))
        self.assertEqual(sent - came, dropped)
        self.assertDatagramsBalance()

    def offer_datagrams(self) -> tuple[int, list[float]]:
        """24 Mbit/s for 5 s: how many left, and when the others came."""
        a, b = self.datagram_pair(receive_buffer=4 << 20)
        sent, came, begin = 0, [], time.monotonic()
        payload = bytes(1000)
        while (passed := time.monotonic() - begin) < 5:
            while sent < passed * 3000:
                a.send(payload)
                sent += 1
            while b.recv(0.0005) is not None:
                came.append(time.monotonic() - begin)
        while b.recv(0.3) is not None:
            came.append(time.monotonic() - begin)
        return sent, came

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
        self.assertRate(lambda: [self.on_shard(0)], 16, burst=0.5)

    def test_sessions_share_it(self):
        meters, first, last = self.assertRate(
            lambda: [self.on_shard(number) for number in range(4)], 16, burst=0.5)
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
