"""Too few descriptors, too little of everything: counted, survived, and over when it is over."""

import contextlib
import socket
import threading
import time
import unittest

import tandem_client as tc
from harness import (MIB, STRANGER, Daemon, RelayTest, eventually, in_threads, receive_hash,
                     scaled, send_pattern)


class DescriptorsTest(RelayTest):
    """Started with room for some thirty connections more than it needs for itself."""

    config = {"engine.shards": 1, "sessions.session_timeout_s": 1}
    CONNECTIONS = 60

    @classmethod
    def setUpClass(cls):
        # What it needs for itself is seen, not guessed.
        probe = Daemon(cls.config)
        try:
            probe.start()
            own = probe.descriptors_open()
            probe.stop()
        finally:
            probe.discard()
        cls.relay = Daemon(cls.config, descriptors=own + 30)
        cls.addClassCleanup(cls.relay.discard)
        cls.relay.start()
        cls.addClassCleanup(cls._stop)

    def test_it_refuses_counts_and_recovers(self):
        a, b = self.stream_pair()
        c, d = self.datagram_pair()
        with self.counted("accept failures"):  # read when there are descriptors again
            crowd, served = [], 0
            for _ in range(self.CONNECTIONS):
                stream = self.stream(timeout=0.2)
                try:
                    crowd.append(stream.join(self.tokens()[0]).wait_waiting())
                    served += 1
                except (OSError, tc.RelayError, tc.StreamClosed):
                    crowd.append(stream)
            print(f"descriptors: {served} of {self.CONNECTIONS} served")
            self.assertLess(served, self.CONNECTIONS)
            with self.subTest("who is joined notices nothing"):
                self.assertJoined(a, b)
                self.assertExchange(c, d)
            with self.subTest("datagrams need no descriptor"):
                self.assertExchange(*self.datagram_pair())
            for stream in crowd:
                stream.reset()
            with self.subTest("recovered"):
                self.assertTrue(eventually(self.joins, timeout=15, every=0.2))
                self.assertJoined(a, b)

    def joins(self) -> bool:
        try:
            self.assertJoined(*self.stream_pair(timeout=3))
            return True
        except (OSError, tc.RelayError, tc.StreamClosed):
            return False

    def test_it_does_not_spin_meanwhile(self):
        """An accept that fails again and again must not take a core."""
        crowd = [self.stream(timeout=0.5) for _ in range(self.CONNECTIONS)]
        begin, before = time.monotonic(), self.cpu_seconds()
        threading.Event().wait(2.0)
        used = (self.cpu_seconds() - before) / (time.monotonic() - begin)
        print(f"descriptors: {used:.0%} of a core while exhausted")
        self.assertLess(used, 0.5)
        for stream in crowd:
            stream.close()
        self.assertTrue(eventually(self.joins, timeout=15, every=0.2))

    def cpu_seconds(self) -> float:
        with open(f"/proc/{self.relay.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


class SmallBuffersTest(RelayTest):
    """As few stream buffers as the configuration allows, and many lanes that want them."""

    config = {"engine.shards": 1, "engine.buffers": 16, "engine.buffer_size": "4kb"}

    def test_every_lane_gets_through(self):
        pairs = [self.stream_pair(timeout=60) for _ in range(40)]
        size = MIB // 4
        content = bytes(range(256)) * (size // 256)
        errors = []

        def send(stream):
            try:
                stream.sendall(content)
                stream.finish()
            except OSError as error:
                errors.append(error)

        senders = [threading.Thread(target=send, args=(a,), daemon=True) for a, _ in pairs]
        for sender in senders:
            sender.start()
        for _, b in pairs:
            self.assertEqual(b.read_to_end(), content)
        for sender in senders:
            sender.join(10)
        self.assertEqual(errors, [])


class StalledReadersTest(RelayTest):
    """Readers that never read must not starve those that do: what a lane holds is bounded, and what
    all of them hold together leaves room."""

    config = {"engine.shards": 1}
    STALLED = scaled(200, 1000)

    def stall(self, sources: list[tc.Stream]):
        """Sends until none of the lanes has taken anything for a while."""
        for source in sources:
            source.sock.setblocking(False)
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.3:
            for source in sources:
                with contextlib.suppress(BlockingIOError):
                    source.sock.send(bytes(65536))
                    quiet_since = time.monotonic()
            threading.Event().wait(0.005)

    def test_others_go_on(self):
        stalled = [self.stream_pair(receive_buffer=4096, send_buffer=65536)
                   for _ in range(self.STALLED)]
        self.stall([a for a, _ in stalled])
        with self.bystander():
            a, b = self.stream_pair(timeout=30)
            size = 16 * MIB
            sent, got = in_threads(lambda: send_pattern(a, 1, size), lambda: receive_hash(b),
                                   timeout=60)
            self.assertEqual(got, (size, sent))


class FloodTest(RelayTest):
    """Half-open floods: many come, say nothing, and go or stay."""

    config = {"sessions.handshake_timeout_s": 2, "security.half_open_per_address": 64}

    def test_a_flood_of_half_open_connections(self):
        with self.bystander():
            flood = []
            for _ in range(scaled(500, 5000)):
                try:
                    flood.append(self.stream(source=STRANGER, timeout=2))
                except OSError:
                    pass
            self.assertJoined(*self.stream_pair())
            for stream in flood:
                stream.close()

    def test_come_and_go(self):
        with self.bystander():
            for _ in range(scaled(500, 5000)):
                sock = socket.create_connection(self.relay.address(), source_address=(STRANGER, 0))
                sock.close()
        self.assertTrue(eventually(self.relay.ready))


if __name__ == "__main__":
    unittest.main()
