"""Limits on numbers and sizes: each past its bound gives its code, moves its counter, and lets go
when what used it up is gone."""

import time
import unittest

import tandem_client as tc
from harness import STRANGER, V4, V6, RelayTest, eventually


class SessionTableTest(RelayTest):
    config = {"sessions.max_sessions": 4, "engine.shards": 1, "sessions.session_timeout_s": 1}

    def test_a_full_table(self):
        tokens = [self.tokens() for _ in range(5)]
        held = [self.stream().join(a_token).wait_waiting() for a_token, _ in tokens[:4]]
        self.assertMetricBecomes("sessions", 4)
        with self.subTest("TCP"), self.counted("join OVER_CAPACITY"):
            self.assertRefused(self.stream().join(tokens[4][0]), "OVER_CAPACITY")
        with self.subTest("UDP"):
            with self.assertRaises(tc.DatagramRefused) as refused:
                self.datagrams(tokens[4][0]).bind()
            self.assertEqual(refused.exception.code, "OVER_CAPACITY")
        with self.subTest("/ready"):
            self.assertTrue(eventually(lambda: self.relay.ready_status() == 503),
                            "503 while full")
        with self.subTest("known sessions are served"):
            for a, (_, b_token) in zip(held, tokens):
                b = self.stream().join(b_token).wait_paired()
                a.wait_paired()
                self.assertJoined(a, b)
                b.close()
        with self.subTest("room again"):
            held[0].close()
            self.assertMetricBecomes("sessions", 3, timeout=10)
            self.assertJoined(*self.stream_pair(tokens[4]))
        with self.subTest("/ready again"):
            for stream in held:
                stream.close()
            self.assertTrue(eventually(self.relay.ready, timeout=10))


class ConnectionsPerSessionTest(RelayTest):
    config = {"sessions.max_connections_per_session": 2}

    def test_one_a_slot(self):
        tokens = self.tokens()
        a, b = self.stream_pair(tokens)
        self.assertRefused(self.stream().join(tokens[0], lane=1), "NOT_ALLOWED")
        with self.assertRaises(tc.DatagramRefused) as refused:
            self.datagrams(tokens[1]).bind()
        self.assertEqual(refused.exception.code, "SESSION_FULL")
        self.assertJoined(a, b)

    def test_the_udp_side_is_the_one(self):
        tokens = self.tokens()
        a, b = self.datagram_pair(tokens)
        self.assertRefused(self.stream().join(tokens[0]), "SESSION_FULL")
        self.assertExchange(a, b)


class AddressTest(RelayTest):
    def assertServedSoon(self, token):
        """A place that became free is given again."""
        def served() -> bool:
            stream = self.stream(source=STRANGER).join(token, takeover=True)
            try:
                stream.wait_waiting()
                return True
            except (tc.RelayError, tc.StreamClosed, ConnectionError):
                stream.close()
                return False

        self.assertTrue(eventually(served))


class HalfOpenTest(AddressTest):
    config = {"security.half_open_per_address": 3}

    def test_connections_that_have_not_joined(self):
        with self.bystander():
            idle = [self.stream(source=STRANGER) for _ in range(3)]
            for stream in idle:
                stream.sendall(b"TANDEM/1 ")
            token, _ = self.tokens()
            with self.counted("join RATE_LIMITED"):
                self.assertRefused(self.stream(source=STRANGER).join(token), "RATE_LIMITED")
            self.stream(source="127.0.0.67").join(token).wait_waiting()
            idle[0].close()
            self.assertServedSoon(self.tokens()[0])


class ConnectionsPerAddressTest(AddressTest):
    config = {"security.connections_per_address": 4}

    def test_connections_at_once(self):
        with self.bystander():
            held = [self.stream(source=STRANGER).join(self.tokens()[0]).wait_waiting()
                    for _ in range(4)]
            with self.counted("join RATE_LIMITED"):
                self.assertRefused(self.stream(source=STRANGER).join(self.tokens()[0]),
                                   "RATE_LIMITED")
            self.stream(source="127.0.0.67").join(self.tokens()[0]).wait_waiting()
            # A reset: after a mere FIN one that waits may still want to be answered.
            held[0].reset()
            self.assertServedSoon(self.tokens()[0])


class ExemptTest(RelayTest):
    config = {"security.connections_per_address": 2, "security.exempt": ["127.0.0.64/26"]}

    def test_listed_networks_are_not_limited(self):
        for _ in range(6):
            self.stream(source=STRANGER).join(self.tokens()[0]).wait_waiting()
        for _ in range(2):
            self.stream(source="127.0.0.3").join(self.tokens()[0]).wait_waiting()
        self.assertRefused(self.stream(source="127.0.0.3").join(self.tokens()[0]), "RATE_LIMITED")


class NewConnectionsTest(RelayTest):
    config = {"security.new_connections_per_minute": 5}

    def test_past_the_number_a_minute(self):
        codes = []
        for _ in range(12):
            stream = self.stream(source=STRANGER).join(self.tokens()[0])
            try:
                codes.append(stream.read_status())
            except tc.RelayError as error:
                codes.append(error.code)
                if error.retry is not None:
                    self.assertLessEqual(error.retry, 60)
        self.assertEqual(codes[:5], ["WAIT"] * 5)
        self.assertEqual(set(codes[-2:]), {"RATE_LIMITED"})
        self.stream(source="127.0.0.67").join(self.tokens()[0]).wait_waiting()


class PacketSizeTest(RelayTest):
    config = {"security.max_packet_size": 600}

    def test_the_largest_and_one_more(self):
        for hosts in ((V4, V4), (V6, V6)):
            with self.subTest(hosts):
                a, b = self.datagram_pair(hosts=hosts)
                a.send(bytes(592))
                self.assertEqual(b.recv(3.0), bytes(592))
                for size in (593, 1000, 1472, 30000):
                    with self.counted("drop too large", exactly=1):
                        a.send(bytes(size))
                self.assertIsNone(b.recv(0.2))
                self.assertExchange(a, b)
        self.assertDatagramsBalance()

    def test_never_truncated(self):
        a, b = self.datagram_pair()
        for size in range(580, 604):
            a.send(b"%d" % size + bytes(size - 3))
        got = []
        while (payload := b.recv(0.3)) is not None:
            got.append((int(payload[:3]), len(payload)))
        self.assertEqual(got, [(size, size) for size in range(580, 593)])


class PacketRateTest(RelayTest):
    """A validated source is address and port: others on its address are not slowed by it."""

    config = {"security.packets_per_second": 200}

    def test_what_is_past_the_rate_is_dropped_and_counted(self):
        a, b = self.datagram_pair()
        before = self.relay.metrics()
        sent, got, begin = 0, 0, time.monotonic()
        with self.bystander():
            # Everything comes from one address; the bystander has a rate of its own.
            while (passed := time.monotonic() - begin) < 4:
                while sent < passed * 1000:
                    a.send(sent.to_bytes(4, "big"))
                    sent += 1
                while b.recv(0.001) is not None:
                    got += 1
        while b.recv(0.3) is not None:
            got += 1
        took = time.monotonic() - begin
        print(f"packet rate: {got} of {sent} in {took:.1f} s at 200 a second")
        self.assertGreaterEqual(got, 200 * 4 * 0.85)
        self.assertLessEqual(got, 200 * (took + 2) * 1.15)
        dropped = self.relay.metrics().total("drop over rate") - before.total("drop over rate")
        self.assertEqual(sent - got, dropped)
        self.assertDatagramsBalance()

    def test_below_the_rate_nothing_is_lost(self):
        a, b = self.datagram_pair()
        begin = time.monotonic()
        for number in range(400):
            while time.monotonic() - begin < number / 150:
                time.sleep(0.001)
            a.send(number.to_bytes(4, "big"))
            self.assertEqual(b.recv(3.0), number.to_bytes(4, "big"))


class LifetimeTest(RelayTest):
    config = {"sessions.max_lifetime_s": 2}

    def test_a_session_ends_though_it_is_used(self):
        tokens = self.tokens()
        streams = self.stream_pair(tokens)
        a, b = self.datagram_pair(tokens)
        begin = time.monotonic()
        while (close := a.wait_for(tc.Close, 0.2)) is None and time.monotonic() - begin < 10:
            a.send(b"still here")
        self.assertIsNotNone(close)
        self.assertEqual(close.reason, tc.OVER_QUOTA)
        self.assertGreater(time.monotonic() - begin, 1.0)
        self.assertEqual(b.wait_for(tc.Close, 3.0).reason, tc.OVER_QUOTA)
        for stream in streams:
            self.assertTrue(stream.failed(3) or stream.recv(1) == b"")


if __name__ == "__main__":
    unittest.main()
