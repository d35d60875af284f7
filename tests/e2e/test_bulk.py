"""Whole files through the relay: SHA-256 of what was sent equals SHA-256 of what came."""

import hashlib
import selectors
import time
import unittest

import tandem_client as tc
from harness import (MIB, V4, V6, Pattern, RelayTest, in_threads, receive_hash, scaled,
                     send_pattern)

SIZE = scaled(64, 1024) * MIB


class BothWaysTest(RelayTest):
    def exchange(self, a: tc.Stream, b: tc.Stream, size: int, timeout: float):
        """Both directions at once; each ends with a FIN of its own."""
        begin = time.monotonic()
        sent_a, sent_b, got_a, got_b = in_threads(
            lambda: send_pattern(a, 1, size), lambda: send_pattern(b, 2, size),
            lambda: receive_hash(a), lambda: receive_hash(b), timeout=timeout)
        self.assertEqual(got_b, (size, sent_a))
        self.assertEqual(got_a, (size, sent_b))
        return 2 * size / MIB / (time.monotonic() - begin)

    def test_one_pair(self):
        with self.counted("stream bytes", at_least=2 * SIZE), self.bystander():
            rate = self.exchange(*self.stream_pair(timeout=60), SIZE, timeout=400)
        print(f"one pair, {SIZE // MIB} MiB each way: {rate:.0f} MiB/s")

    def test_families(self):
        for hosts in ((V6, V6), (V4, V6), (V6, V4)):
            with self.subTest(hosts):
                self.exchange(*self.stream_pair(hosts=hosts, timeout=60),
                              scaled(16, 128) * MIB, timeout=120)

    def test_four_lanes_of_one_session(self):
        tokens = self.tokens()
        lanes = [self.stream_pair(tokens, lane=lane, timeout=60) for lane in range(4)]
        size = scaled(8, 64) * MIB
        jobs = []
        for number, (a, b) in enumerate(lanes):
            jobs += [lambda a=a, seed=number: send_pattern(a, seed, size),
                     lambda b=b: receive_hash(b)]
        results = in_threads(*jobs, timeout=200)
        for sent, got in zip(results[::2], results[1::2]):
            self.assertEqual(got, (size, sent))


class Transfer:
    """One end of a pair in the crowd: sends a file of its own, hashes what comes."""

    def __init__(self, stream: tc.Stream, pattern: Pattern, offset: int, size: int):
        self.stream, self.size = stream, size
        self.sent, self.got = hashlib.sha256(), hashlib.sha256()
        self.count = 0
        # Another rotation of one block for each end: different files from one source.
        data = pattern.bytes(MIB)
        self._file = memoryview((data[offset:] + data[:offset]) * (size // MIB + 1))[:size]
        self._at = 0
        early = stream.take_unread()
        self.got.update(early)
        self.count += len(early)

    def send_some(self) -> bool:
        """False once all is sent."""
        part = self._file[self._at:self._at + 65536]
        done = self.stream.sock.send(part)
        self.sent.update(part[:done])
        self._at += done
        if self._at == self.size:
            self.stream.finish()
            return False
        return True

    def receive_some(self) -> bool:
        """False at the end of the stream."""
        part = self.stream.sock.recv(262144)
        self.got.update(part)
        self.count += len(part)
        return bool(part)


class CrowdTest(RelayTest):
    PAIRS = 200
    SIZE = scaled(MIB // 4, 4 * MIB)

    def test_200_pairs_at_once_with_different_files(self):
        pattern = Pattern(7)
        pairs = []
        for number in range(self.PAIRS):
            hosts = ((V4, V4), (V6, V6), (V4, V6))[number % 3]
            a, b = self.stream_pair(hosts=hosts)
            pairs.append((Transfer(a, pattern, 2 * number * 1009, self.SIZE),
                          Transfer(b, pattern, (2 * number + 1) * 1009, self.SIZE)))
        self.assertMetricBecomes("sessions", self.PAIRS)
        self.pump([end for pair in pairs for end in pair], timeout=200)
        for number, (a, b) in enumerate(pairs):
            for source, sink in ((a, b), (b, a)):
                self.assertEqual(sink.count, self.SIZE, f"pair {number}")
                self.assertEqual(sink.got.digest(), source.sent.digest(), f"pair {number}")
        self.assertEqual(len({end.sent.digest() for pair in pairs for end in pair}),
                         2 * self.PAIRS)

    def pump(self, ends: list[Transfer], timeout: float):
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as ready:
            for end in ends:
                end.stream.sock.setblocking(False)
                ready.register(end.stream.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, end)
            while ready.get_map():
                self.assertLess(time.monotonic(), deadline, "not done in time")
                for key, events in ready.select(1.0):
                    wanted = key.events
                    if events & selectors.EVENT_WRITE and not key.data.send_some():
                        wanted &= ~selectors.EVENT_WRITE
                    if events & selectors.EVENT_READ and not key.data.receive_some():
                        wanted &= ~selectors.EVENT_READ
                    if not wanted:
                        ready.unregister(key.fileobj)
                    elif wanted != key.events:
                        ready.modify(key.fileobj, wanted, key.data)


if __name__ == "__main__":
    unittest.main()
