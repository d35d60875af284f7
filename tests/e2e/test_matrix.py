"""The core promises under every mode of the engine: shards, submission, zero copy."""

import itertools
import unittest

import tandem_client as tc
from blast import Blast
from harness import (MIB, SCALE, V6, RelayTest, eventually, in_threads, receive_hash, scaled,
                     send_pattern)

SIZE = scaled(24, 128) * MIB
COUNT = scaled(10_000, 100_000)


class CorePromises:
    """Mixed into one class for each mode."""

    def on_every_shard(self):
        """Tokens of one session for each shard."""
        for shard in range(self.config["engine.shards"]):
            yield self.tokens(tc.fresh_session_id() & ~0xFF | shard)

    def test_streams_keep_every_byte(self):
        pairs = [self.stream_pair(tokens, timeout=60) for tokens in self.on_every_shard()]
        size = SIZE // len(pairs)
        jobs = []
        for seed, (a, b) in enumerate(pairs):
            for source, sink in ((a, b), (b, a)):
                jobs += [lambda source=source, seed=seed: send_pattern(source, seed, size),
                         lambda sink=sink: receive_hash(sink)]
        results = in_threads(*jobs, timeout=120)
        for sent, got in zip(results[::2], results[1::2]):
            self.assertEqual(got, (size, sent))

    def test_small_writes_in_turns(self):
        for tokens in self.on_every_shard():
            a, b = self.stream_pair(tokens)
            for number in range(scaled(300, 3000)):
                self.assertJoined(a, b, number.to_bytes(1 + number % 200, "big"))

    def test_early_data_then_bulk(self):
        """From the copying of the first bytes to whatever bulk runs by: no byte between is lost."""
        for tokens in self.on_every_shard():
            a = self.stream(timeout=60).join(tokens[0], early=b"early ")
            a.wait_waiting()
            a.sendall(b"words")
            b = self.stream(timeout=60).join(tokens[1]).wait_paired()
            self.assertEqual(b.read_exactly(11), b"early words")
            sent, got = in_threads(lambda: send_pattern(a.wait_paired(), 5, 8 * MIB),
                                   lambda: receive_hash(b), timeout=60)
            self.assertEqual(got, (8 * MIB, sent))

    def test_it_is_told_what_was_copied(self):
        before = self.relay.metrics()
        size = said = 0
        for tokens in self.on_every_shard():
            a, b = self.stream_pair(tokens, timeout=60)
            sent, got = in_threads(lambda: send_pattern(a, 7, 16 * MIB), lambda: receive_hash(b),
                                   timeout=60)
            self.assertEqual(got, (16 * MIB, sent))
            size += 16 * MIB
            said += len(b"TANDEM/1 WAIT\n" + 2 * b"TANDEM/1 PAIRED\n")

        def moved(name: str) -> float:
            return self.relay.metrics().total(name) - before.total(name)

        # The notification of a send may come after its bytes.
        eventually(lambda: moved("sent") == size + said)
        self.assertEqual(moved("sent"), size + said)
        if self.config["engine.zero_copy"] == "splice":
            self.assertGreater(moved("sent by splice"), size / 2)
            self.assertEqual(moved("sent by splice") + moved("sent copied"), size + said)
        else:
            # The kernel copies what arrives by loopback, SEND_ZC or not, and says so.
            self.assertEqual(moved("sent copied"), size + said)
        if self.relay.ctl_json("status")["features"]["zeroCopy"] == "send_zc":
            self.assertGreater(moved("zero-copy sends"), 0)

    def test_half_close(self):
        """Many times: the end of one direction falls into every phase of the other."""
        rounds = scaled(10, 100)
        for tokens in itertools.chain(*(self.on_every_shard() for _ in range(rounds))):
            a, b = self.stream_pair(tokens, timeout=60)
            for source, sink in ((a, b), (b, a)):
                sent, got = in_threads(lambda: send_pattern(source, 6, 4 * MIB),
                                       lambda: receive_hash(sink), timeout=60)
                self.assertEqual(got, (4 * MIB, sent))

    def test_reset_in_full_flow(self):
        for tokens in self.on_every_shard():
            a, b = self.stream_pair(tokens, receive_buffer=65536)
            a.sock.settimeout(0.5)
            try:
                while True:
                    a.sendall(bytes(65536))
            except TimeoutError:
                pass
            a.reset()
            if not b.failed(2):
                # A RST that does not fall on the edge of a closed window is dropped there (RFC 5961,
                # 3.2). The relay is through with it all the same, and says so once the window opens.
                self.assertMetricBecomes("streams", 0)
                with self.assertRaises(ConnectionResetError):
                    b.read_to_end()
        self.assertMetricBecomes("streams", 0)

    def test_datagrams_arrive_whole_and_in_order(self):
        for tokens in self.on_every_shard():
            a, b = self.datagram_pair(tokens, receive_buffer=4 << 20)
            drops = self.relay.socket_drops()
            runs = [Blast(*ends, count=COUNT, window=64 * 1024, seed=seed, sizes=(1, 1464),
                          timeout=60) for seed, ends in enumerate(((a, b), (b, a)))]
            outcomes = [run.outcome() for run in runs]
            for outcome in outcomes:
                self.assertEqual((outcome.sent, outcome.corrupt, outcome.late), (COUNT, 0, 0))
            self.assertLessEqual(sum(outcome.lost for outcome in outcomes),
                                 self.relay.socket_drops() - drops)
        self.assertDatagramsBalance()

    def test_families_and_roaming(self):
        for tokens in self.on_every_shard():
            a, b = self.datagram_pair(tokens, hosts=("127.0.0.1", V6))
            self.assertExchange(a, b)
            self.addCleanup(a.roam().close)
            a.wait_paired()
            self.assertExchange(a, b)


SHARDS, SUBMISSION, ZERO_COPY = (1, 2, 4), ("defer", "sqpoll"), ("off", "splice", "send_zc")
MODES = list(itertools.product(SHARDS, SUBMISSION, ZERO_COPY))
if SCALE == "small":
    # Every mode of submission under every mode of zero copy and on every number of shards.
    MODES = [(SHARDS[(i + j) % 3], SUBMISSION[i], ZERO_COPY[j]) for i in range(2) for j in range(3)]

for shards, submission, zero_copy in MODES:
    name = f"Shards{shards}_{submission}_{zero_copy}_Test"
    globals()[name] = type(name, (CorePromises, RelayTest), {
        "__module__": __name__,
        "config": {"engine.shards": shards, "engine.submission": submission,
                   "engine.zero_copy": zero_copy, "sessions.session_timeout_s": 5},
    })


if __name__ == "__main__":
    unittest.main()
