"""What an address that proved nothing gets back: never more bytes than it sent, STUN apart."""

import os
import select
import socket
import struct
import time
import unittest

import tandem_client as tc
from harness import KEY, V4, V6, RelayTest, scaled


class AmplificationTest(RelayTest):
    # Bounds off: what is measured is the answer's size, not the budget.
    config = {"security.max_packet_size": 1472}

    BATCH = 32
    LENGTHS = scaled(
        [0, 1, 2, 3, 7, 8, 9, 12, 14, 15, 16, 17, 20, 23, 24, 27, 28, 29, 39, 40, 41, 64, 68, 95,
         96, 97, 128, 256, 512, 1199, 1200, 1201, 1471, 1472, 1473],
        list(range(0, 300)) + list(range(300, 1474, 13)) + [1199, 1200, 1201, 1471, 1472, 1473])

    def drain(self, sock: socket.socket, timeout: float) -> list[bytes]:
        got = []
        while select.select([sock], [], [], timeout)[0]:
            got.append(sock.recv(65535))
            timeout = 0.0
        return got

    def measure(self, datagrams, host=V4) -> tuple[int, int]:
        """Bytes sent and bytes received; each batch is settled before the next, so that the ratio
        holds for it too."""
        sock = self.stranger_socket("127.0.0.66" if host == V4 else V6)
        sent = received = 0
        batch: list[bytes] = []

        def settle():
            nonlocal sent, received
            for datagram in batch:
                sock.sendto(datagram, self.relay.address(host))
            # A beacon behind the batch comes back once all before it was judged: the same socket
            # and the same shard key make the same queue.
            marker = os.urandom(8)
            sock.sendto(tc.encode_ping(batch[0][1] if len(batch[0]) > 1 else 0, 0, marker),
                        self.relay.address(host))
            got, deadline = [], time.monotonic() + 3
            while not any(reply[8:16] == marker for reply in got):
                self.assertLess(time.monotonic(), deadline, "the beacon was not answered")
                got += self.drain(sock, 0.2)
            got += self.drain(sock, 0.02)
            batch_sent = sum(map(len, batch)) + 16
            batch_received = sum(map(len, got))
            self.assertLessEqual(batch_received, batch_sent,
                                 f"batch of {batch[0][:2].hex()}, {len(batch[0])} bytes")
            for reply in got:
                self.assertIn(reply[0], (tc.CHALLENGE, tc.PONG, tc.ERROR), reply.hex())
            sent += batch_sent
            received += batch_received
            batch.clear()

        for datagram in datagrams:
            batch.append(datagram)
            if len(batch) == self.BATCH:
                settle()
        if batch:
            settle()
        return sent, received

    def every_type_and_length(self, fill):
        for kind in range(256):
            for length in self.LENGTHS:
                datagram = (bytes([kind, 0x42]) + fill(1472))[:length]
                # The magic cookie would make STUN of it.
                if kind > 3 or datagram[4:8] != struct.pack(">I", tc.STUN_MAGIC):
                    yield datagram

    def report(self, name: str, sent: int, received: int):
        print(f"amplification, {name}: {received} bytes for {sent}, {received / sent:.4f}")
        self.assertLessEqual(received / sent, 1.0)

    def test_every_type_and_length_of_zeros(self):
        self.report("zeros", *self.measure(self.every_type_and_length(bytes)))

    def test_every_type_and_length_of_noise(self):
        self.report("noise", *self.measure(self.every_type_and_length(os.urandom)))
        self.assertEqual(self.relay.metric("sessions"), 0)

    def test_over_ipv6(self):
        types = (datagram for datagram in self.every_type_and_length(os.urandom)
                 if datagram[:1] and 4 <= datagram[0] <= 13)
        self.report("v6", *self.measure(types, V6))

    def test_well_formed_ones(self):
        """What draws an answer at all: BINDs and beacons of every length."""
        def datagrams():
            for length in range(96, 1473, scaled(37, 1)):
                token = tc.mint(KEY, tc.fresh_session_id() & ~0xFF | 0x42, 0)
                yield tc.encode_bind(token, os.urandom(8), size=length)
                yield tc.encode_bind(token, os.urandom(8), os.urandom(16), size=length)
            for length in range(16, 1201, scaled(17, 1)):
                yield tc.encode_ping(0x42, 0, os.urandom(8), bytes(length - 16))
                yield tc.encode_ping(0x42, 0x12345678, os.urandom(8), bytes(length - 16))
            for length in range(8, 1473, scaled(37, 1)):
                yield tc.encode_data(0x42, 0x12345678, bytes(length - 8))
                yield tc.encode_close(0x42, 0x12345678, bytes(8))
        self.report("well-formed", *self.measure(datagrams()))

    def test_on_a_live_channel_from_elsewhere(self):
        """A channel that exists is no key for who is not bound to it."""
        session = tc.fresh_session_id() & ~0xFF | 0x42
        a, b = self.datagram_pair(self.tokens(session))

        def datagrams():
            for length in range(0, 1400, scaled(50, 7)):
                yield tc.encode_data(0x42, a.channel, bytes(length))
                yield tc.encode_ping(0x42, a.channel, os.urandom(8), bytes(min(length, 1184)))
                yield tc.encode_close(0x42, a.channel, a.nonce)
                yield a.last_bind
        self.report("live channel", *self.measure(datagrams()))
        self.assertExchange(a, b)
        self.assertEqual((a.foreign, b.foreign), (0, 0))


class BudgetTest(RelayTest):
    """With a budget an unvalidated source is answered so often and no more; a bound one is not
    touched by what strangers use up, on the same address even."""

    config = {"security.packets_per_second": 100, "engine.shards": 1}

    def test_beacons_past_the_budget_are_dropped(self):
        sock = self.stranger_socket()
        answered, begin = 0, time.monotonic()
        with self.counted("dropped"):
            while time.monotonic() - begin < 3:
                for _ in range(50):
                    sock.sendto(tc.encode_ping(7, 0, bytes(8)), self.relay.address())
                select.select([sock], [], [], 0.01)
                while select.select([sock], [], [], 0)[0]:
                    sock.recv(2048)
                    answered += 1
                time.sleep(0.02)
        # 100 a second for 3 seconds, and a burst of as much as twice a second's worth.
        self.assertGreater(answered, 100)
        self.assertLess(answered, 300 + 250)

    def test_a_bound_client_is_looked_up_before_any_budget(self):
        a, b = self.datagram_pair(source="127.0.0.66")
        flood = self.stranger_socket("127.0.0.66")
        for number in range(100):
            for _ in range(20):
                flood.sendto(tc.encode_ping(7, 0, bytes(8)), self.relay.address())
            a.send(struct.pack(">I", number))
            self.assertEqual(b.recv(3.0), struct.pack(">I", number))
            time.sleep(0.02)

    def test_one_source_does_not_use_up_anothers_budget(self):
        flood, other = self.stranger_socket(), self.stranger_socket("127.0.0.67")
        other.settimeout(3)
        for number in range(20):
            for _ in range(50):
                flood.sendto(tc.encode_ping(7, 0, bytes(8)), self.relay.address())
            other.sendto(tc.encode_ping(7, 0, struct.pack(">Q", number)), self.relay.address())
            self.assertEqual(other.recv(2048)[8:16], struct.pack(">Q", number))
            time.sleep(0.05)

    def test_stun_is_within_the_budget(self):
        sock = self.stranger_socket("127.0.0.68")
        request = struct.pack(">HHI", 1, 0, tc.STUN_MAGIC) + bytes(12)
        with self.counted("dropped"):
            for _ in range(20):
                for _ in range(50):
                    sock.sendto(request, self.relay.address())
                time.sleep(0.01)
        answered = 0
        while select.select([sock], [], [], 0.2)[0]:
            sock.recv(2048)
            answered += 1
        self.assertGreater(answered, 0)
        self.assertLess(answered, 400)


if __name__ == "__main__":
    unittest.main()
