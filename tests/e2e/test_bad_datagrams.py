"""What strangers send over UDP: silence or the documented answer, a counter that moves, no session
made or moved by it, and a pair that talks meanwhile notices nothing."""

import os
import struct
import time
import unittest

import tandem_client as tc
from harness import KEY, STRANGER, UNLISTED_KEY, V4, V6, RelayTest, scaled


class StrangerTest(RelayTest):
    def setUp(self):
        super().setUp()
        watch = self.bystander()
        watch.__enter__()
        self.addCleanup(self.assertDatagramsBalance)
        self.addCleanup(watch.__exit__, None, None, None)

    def assertDropped(self, wire: bytes, reason: str, sock=None, host=V4):
        """No answer, and that one counter moves by one."""
        sock = sock or self.stranger_socket(STRANGER if host == V4 else V6)
        with self.counted(f"drop {reason}", exactly=1):
            sock.sendto(wire, self.relay.address(host))
        self.assertSilent(sock, 0.1)


class MalformedTest(StrangerTest):
    def test_unknown_types(self):
        sock = self.stranger_socket()
        kinds = [kind for kind in range(0x04, 0x100) if not 0x05 <= kind <= 0x0C]
        with self.counted("drop unknown type", exactly=len(kinds)):
            for kind in kinds:
                sock.sendto(bytes([kind]) + os.urandom(99), self.relay.address())
        self.assertSilent(sock)

    def test_what_only_the_relay_sends(self):
        sock = self.stranger_socket()
        kinds = (tc.CHALLENGE, tc.BOUND, tc.PONG, tc.ERROR)
        with self.counted("dropped", at_least=len(kinds) * 3):
            for kind in kinds:
                for size in (2, 40, 96):
                    sock.sendto(bytes([kind]) + bytes(size - 1), self.relay.address())
        self.assertSilent(sock)

    def test_empty_datagrams(self):
        sock = self.stranger_socket()
        with self.counted("dropped", at_least=20):
            for _ in range(20):
                sock.sendto(b"", self.relay.address())
        self.assertSilent(sock)

    def test_too_short_for_its_type(self):
        wires = {
            tc.BIND: tc.encode_bind(self.tokens()[0], bytes(8)),
            tc.DATA: tc.encode_data(1, 2, b""),
            tc.PING: tc.encode_ping(1, 0, bytes(8)),
            tc.CLOSE: tc.encode_close(1, 2, bytes(8)),
        }
        for kind, wire in wires.items():
            sock = self.stranger_socket()
            lengths = range(1, len(wire))
            with self.subTest(kind), self.counted("drop malformed", exactly=len(lengths)):
                for length in lengths:
                    sock.sendto(wire[:length], self.relay.address())
            self.assertSilent(sock, 0.1)

    def test_first_bytes_of_stun_without_its_cookie(self):
        for kind in range(4):
            with self.subTest(kind):
                sock = self.stranger_socket()
                with self.counted("dropped", exactly=1):
                    sock.sendto(bytes([kind]) + os.urandom(3) + bytes(16), self.relay.address())
                self.assertSilent(sock, 0.1)

    def test_a_beacon_longer_than_1200(self):
        sock = self.stranger_socket()
        with self.counted("dropped", exactly=1):
            sock.sendto(tc.encode_ping(1, 0, bytes(8), bytes(1201 - 16)), self.relay.address())
        self.assertSilent(sock)

    def test_larger_than_max_packet_size(self):
        """Whichever reason comes first: it has no channel either."""
        sock = self.stranger_socket()
        with self.counted("dropped", exactly=1):
            sock.sendto(tc.encode_data(1, 2, bytes(1473 - 8)), self.relay.address())
        self.assertSilent(sock)

    def test_noise(self):
        sock = self.stranger_socket()
        count = scaled(500, 20_000)
        before = self.relay.metric("sessions")
        with self.counted("received", at_least=count):
            for number in range(count):
                sock.sendto(os.urandom(number % 200), self.relay.address())
                if number % 100 == 99:  # a flood would test the socket's buffer, not the parser
                    time.sleep(0.005)
        self.assertEqual(self.relay.metric("sessions"), before)


class BadBindTest(StrangerTest):
    def bind_raw(self, wire: bytes, sock=None, host=V4):
        """The relay's answer to it, decoded."""
        sock = sock or self.stranger_socket(STRANGER if host == V4 else V6)
        sock.sendto(wire, self.relay.address(host))
        sock.settimeout(3)
        return tc.decode(sock.recv(2048))

    def cookie_for(self, token, sock, nonce=bytes(8), host=V4) -> bytes:
        message = self.bind_raw(tc.encode_bind(token, nonce), sock, host)
        self.assertIsInstance(message, tc.Challenge)
        return message.cookie

    def assertJudged(self, token, expected, proof=None):
        """After a good cookie the token is judged, and the ERROR names this nonce."""
        sock, nonce = self.stranger_socket(), os.urandom(8)
        cookie = self.cookie_for(token, sock, nonce)
        error = self.bind_raw(tc.encode_bind(token, nonce, cookie, proof=proof), sock)
        self.assertIsInstance(error, tc.Error)
        self.assertEqual((error.name, error.nonce, error.shard_key),
                         (expected, nonce, token.shard_key))

    def test_zero_cookie_is_challenged_whatever_the_token(self):
        for token in (tc.Token(bytes(24), bytes(16)), self.tokens()[0],
                      self.tokens(key=UNLISTED_KEY)[0]):
            self.cookie_for(token, self.stranger_socket())

    def test_wrong_shard_key(self):
        token = self.tokens()[0]
        sock = self.stranger_socket()
        for other in {(token.shard_key + step) & 0xFF for step in (1, 2, 128)}:
            with self.counted("dropped", exactly=1):
                sock.sendto(tc.encode_bind(token, bytes(8), shard_key=other),
                            self.relay.address())
        self.assertSilent(sock)

    def test_a_cookie_with_another_time_is_stale(self):
        """Older, newer, and as old as time: each is answered by a fresh challenge."""
        token, sock = self.tokens()[0], self.stranger_socket()
        cookie = self.cookie_for(token, sock)
        issued = struct.unpack(">I", cookie[:4])[0]
        for time_in_it in (issued - 61, issued - 1, issued + 1, issued + 3600, 1, 2**32 - 1):
            with self.subTest(time_in_it - issued):
                forged = struct.pack(">I", time_in_it & 0xFFFFFFFF) + cookie[4:]
                self.assertIsInstance(
                    self.bind_raw(tc.encode_bind(token, bytes(8), forged), sock), tc.Challenge)

    def test_every_byte_of_the_cookie_counts(self):
        token, sock = self.tokens()[0], self.stranger_socket()
        cookie = self.cookie_for(token, sock)
        for index in range(16):
            forged = bytearray(cookie)
            forged[index] ^= 1
            self.assertIsInstance(
                self.bind_raw(tc.encode_bind(token, bytes(8), bytes(forged)), sock), tc.Challenge)

    def test_a_cookie_from_another_port_or_address(self):
        token = self.tokens()[0]
        cookie = self.cookie_for(token, self.stranger_socket())
        wire = tc.encode_bind(token, bytes(8), cookie)
        for name, sock, host in (("port", self.stranger_socket(), V4),
                                 ("address", self.stranger_socket("127.0.0.67"), V4),
                                 ("family", self.stranger_socket(V6), V6)):
            with self.subTest(name):
                self.assertIsInstance(self.bind_raw(wire, sock, host), tc.Challenge)

    def test_a_cookie_for_other_claims(self):
        sock = self.stranger_socket()
        one, other = self.tokens()
        cookie = self.cookie_for(one, sock)
        self.assertIsInstance(self.bind_raw(tc.encode_bind(other, bytes(8), cookie), sock),
                              tc.Challenge)

    def test_wrong_proof(self):
        token = self.tokens()[0]
        for proof in (bytes(16), os.urandom(16), token.secret):
            self.assertJudged(token, "BAD_TOKEN", proof=proof)

    def test_the_proof_covers_nonce_and_features(self):
        token, sock = self.tokens()[0], self.stranger_socket()
        cookie = self.cookie_for(token, sock)
        good = tc.encode_bind(token, bytes(8), cookie)
        for index in (2, 3, 4, 11):
            wire = bytearray(good)
            wire[index] ^= 1
            message = self.bind_raw(bytes(wire), sock)
            self.assertIsInstance(message, tc.Error)
            self.assertEqual(message.name, "BAD_TOKEN")

    def test_bad_tokens(self):
        now, session = int(time.time()), tc.fresh_session_id()
        for name, token, expected in (
                ("other key", tc.mint(UNLISTED_KEY, session, 0), "BAD_TOKEN"),
                ("unknown key id", tc.mint(KEY, session, 0, key_id=9), "BAD_TOKEN"),
                ("version 2", tc.mint(KEY, session, 0, version=2), "BAD_TOKEN"),
                ("slot 2", tc.mint(KEY, session, 2), "BAD_TOKEN"),
                ("unknown flag", tc.mint(KEY, session, 0, flags=2 | 8), "BAD_TOKEN"),
                ("reserved", tc.mint(KEY, session, 0, reserved=1), "BAD_TOKEN"),
                ("expires too far away", tc.mint(KEY, session, 0, expires_at=now + 90000),
                 "BAD_TOKEN"),
                ("expired", tc.mint(KEY, session, 0, expires_at=now - 2), "EXPIRED"),
                ("TCP alone", tc.mint(KEY, session, 0, flags=tc.ALLOW_TCP), "NOT_ALLOWED")):
            with self.subTest(name):
                self.assertJudged(token, expected)

    def test_a_flood_of_binds_makes_no_state(self):
        before, count = self.relay.metric("sessions"), scaled(2_000, 50_000)
        self.flood(count)  # the first also touches every buffer that the socket may ever fill
        resident = self.relay.resident_bytes()
        self.flood(count)
        self.assertEqual(self.relay.metric("sessions"), before)
        if not self.relay.keeps_a_history_of_memory():
            self.assertLess(self.relay.resident_bytes() - resident, 4 << 20)

    def flood(self, count: int):
        sock = self.stranger_socket()
        for number in range(count):
            token = tc.mint(KEY, tc.fresh_session_id(), 0)
            sock.sendto(tc.encode_bind(token, os.urandom(8)), self.relay.address())
            if number % 50 == 49:
                time.sleep(0.002)


class SpoofTest(StrangerTest):
    """A third socket that knows everything but holds no bound address."""

    def test_data_with_the_right_channel(self):
        a, b = self.datagram_pair()
        for sock in (self.stranger_socket(), self.stranger_socket(V4)):
            self.assertDropped(tc.encode_data(a.token.shard_key, a.channel, b"forged"),
                               "foreign source", sock)
        self.assertIsNone(a.recv(0.2))
        self.assertIsNone(b.recv(0.2))
        self.assertExchange(a, b)

    def test_data_to_wrong_channels(self):
        a, b = self.datagram_pair()
        for channel in {a.channel ^ 1, a.channel ^ 1 << 31, 0, 2**32 - 1} - {a.channel}:
            with self.counted("drop no channel", exactly=1):
                a.send_raw(tc.encode_data(a.token.shard_key, channel, b"astray"))
        with self.counted("dropped", exactly=1):
            a.send_raw(tc.encode_data(a.token.shard_key ^ 1, a.channel, b"astray"))
        self.assertIsNone(b.recv(0.2))
        self.assertExchange(a, b)

    def test_data_on_the_channel_of_another_session(self):
        a, b = self.datagram_pair()
        c, d = self.datagram_pair()
        with self.counted("drop foreign source", exactly=1):
            a.send_raw(tc.encode_data(c.token.shard_key, c.channel, b"across"))
        for end in (b, c, d):
            self.assertIsNone(end.recv(0.2))
        self.assertExchange(c, d)

    def test_close_from_elsewhere(self):
        a, b = self.datagram_pair()
        sock = self.stranger_socket()
        with self.counted("dropped", exactly=len(tc.ERROR_NAMES)):
            for reason in range(len(tc.ERROR_NAMES)):
                sock.sendto(tc.encode_close(a.token.shard_key, a.channel, a.nonce, reason),
                            self.relay.address())
        self.assertSilent(sock, 0.1)
        self.assertExchange(a, b)

    def test_close_with_a_wrong_nonce(self):
        """From the right address: one more bar for who can write packets but not read them."""
        a, b = self.datagram_pair()
        with self.counted("dropped", exactly=1):
            a.send_raw(tc.encode_close(a.token.shard_key, a.channel, os.urandom(8)))
        self.assertExchange(a, b)

    def test_bind_of_a_held_slot_without_the_secret(self):
        a, b = self.datagram_pair()
        sock = self.stranger_socket()
        sock.settimeout(3)
        thief = tc.Token(a.token.claims, bytes(16))
        sock.sendto(tc.encode_bind(thief, bytes(8)), self.relay.address())
        cookie = tc.decode(sock.recv(2048)).cookie
        sock.sendto(tc.encode_bind(thief, bytes(8), cookie), self.relay.address())
        self.assertEqual(tc.decode(sock.recv(2048)).name, "BAD_TOKEN")
        self.assertExchange(a, b)

    def test_a_replayed_bind_from_another_address(self):
        a, b = self.datagram_pair()
        sock = self.stranger_socket()
        sock.sendto(a.last_bind, self.relay.address())
        sock.settimeout(3)
        self.assertIsInstance(tc.decode(sock.recv(2048)), tc.Challenge)
        self.assertExchange(a, b)
        self.assertIsNone(a.wait_for(tc.Close, 0.2))

    def test_challenges_are_not_data(self):
        """What a client would send to trick a peer: none of it is forwarded."""
        a, b = self.datagram_pair()
        forged = [bytes([kind, a.token.shard_key]) + bytes(2) + struct.pack(">I", a.channel)
                  + bytes(88) for kind in range(256) if kind not in (tc.DATA, tc.BIND)]
        for wire in forged:
            a.send_raw(wire)
        self.assertExchange(a, b)
        self.assertEqual(b.foreign, 0)


if __name__ == "__main__":
    unittest.main()
