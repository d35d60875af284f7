"""The UDP path as the page describes it: binding, data, keepalive, roaming, close, STUN."""

import os
import select
import struct
import time
import unittest
import zlib
from pathlib import Path

import tandem_client as tc
from harness import KEY, V4, V6, RelayTest, eventually, scaled


class BindingTest(RelayTest):
    def tearDown(self):
        self.assertDatagramsBalance()

    def test_bound_tells_what_the_page_says(self):
        a_token, b_token = self.tokens()
        a = self.datagrams(a_token)
        bound = a.bind()
        self.assertEqual((bound.state, bound.slot), (tc.WAITING, tc.SLOT_A))
        self.assertNotEqual(bound.channel, 0)
        self.assertEqual(bound.keepalive_s, 15)
        self.assertEqual(bound.family, 4)
        self.assertEqual((bound.host, bound.port), (V4, a.sock.getsockname()[1]))
        b = self.datagrams(b_token)
        theirs = b.bind()
        self.assertEqual((theirs.state, theirs.slot), (tc.PAIRED, tc.SLOT_B))
        self.assertEqual(theirs.channel, bound.channel)
        again = a.wait_for(tc.Bound, 3.0)
        self.assertEqual((again.state, again.slot, again.nonce), (tc.PAIRED, tc.SLOT_A, a.nonce))

    def test_observed_address_v6(self):
        a = self.datagrams(self.tokens()[0], V6)
        bound = a.bind()
        self.assertEqual((bound.family, bound.host, bound.port),
                         (6, V6, a.sock.getsockname()[1]))

    def test_max_payload_on_loopback(self):
        """The MTU of lo, or IP's 65,535, less IP, UDP and the DATA header; a relay may tell its own
        limit where security.max_packet_size (1,472 by default) is the smaller one."""
        mtu = min(int(Path("/sys/class/net/lo/mtu").read_text()), 65535)
        for host, headers in ((V4, 28), (V6, 48)):
            with self.subTest(host):
                a, b = self.datagram_pair(hosts=(host, host))
                for end in (a, b):
                    self.assertIn(end.bound.max_payload, (mtu - headers - 8, 1472 - 8))

    def test_challenge_is_small_and_for_this_nonce(self):
        a = self.datagrams(self.tokens()[0])
        a.send_raw(tc.encode_bind(a.token, a.nonce, features=0xFFFF))
        message = a.receive(3.0)
        self.assertIsInstance(message, tc.Challenge)
        self.assertEqual((message.nonce, message.features), (a.nonce, 0))
        self.assertNotEqual(message.cookie, tc.COOKIE_ZERO)

    def test_a_longer_bind_is_good(self):
        a = self.datagrams(self.tokens()[0])
        cookie = a.challenge().cookie
        a.send_raw(tc.encode_bind(a.token, a.nonce, cookie, size=1200))
        self.assertIsInstance(a.receive(3.0), tc.Bound)

    def test_repeated_bind_is_answered_again(self):
        """While waiting a client repeats BIND every second, with the same cookie and nonce."""
        a = self.datagrams(self.tokens()[0])
        first = a.bind()
        for _ in range(3):
            a.send_raw(a.last_bind)
            self.assertEqual(a.receive(3.0), first)

    def test_a_new_nonce_from_the_same_address(self):
        """Each side gets BOUND with its own latest nonce."""
        a_token, b_token = self.tokens()
        a = self.datagrams(a_token)
        channel = a.bind().channel
        a.nonce = os.urandom(8)
        self.assertEqual(a.bind().channel, channel)
        b = self.datagrams(b_token)
        b.bind()
        self.assertEqual(a.wait_paired().nonce, a.nonce)

    def test_channels_are_random(self):
        channels = {self.datagrams(self.tokens()[0]).bind().channel for _ in range(16)}
        self.assertEqual(len(channels), 16)
        self.assertGreater(max(channels), 1 << 16)

    def test_both_slots_from_one_address(self):
        a_token, b_token = self.tokens()
        a = self.datagrams(a_token)
        a.bind()
        a.token = b_token
        with self.assertRaises(tc.DatagramRefused) as refused:
            a.bind()
        self.assertEqual(refused.exception.code, "SESSION_FULL")

    def test_every_shard_takes_every_session(self):
        for low_byte in range(scaled(16, 64)):
            session = tc.fresh_session_id() & ~0xFF | low_byte
            self.assertExchange(*self.datagram_pair(self.tokens(session)))

    def test_families(self):
        for hosts in ((V4, V4), (V6, V6), (V4, V6), (V6, V4)):
            with self.subTest(hosts):
                self.assertExchange(*self.datagram_pair(hosts=hosts))

    def test_token_without_the_udp_flag(self):
        self.assertDatagramRefused(self.tokens(flags=tc.ALLOW_TCP)[0],
                                   "NOT_ALLOWED")

    def test_a_prove_token_binds(self):
        flags = tc.ALLOW_TCP | tc.ALLOW_UDP | tc.NEEDS_PROVE
        self.assertExchange(*self.datagram_pair(self.tokens(flags=flags)))

    def test_tcp_and_udp_side_by_side(self):
        tokens = self.tokens()
        streams = self.stream_pair(tokens)
        datagrams = self.datagram_pair(tokens)
        self.assertJoined(*streams)
        self.assertExchange(*datagrams)

    def assertDatagramRefused(self, token, code):
        with self.assertRaises(tc.DatagramRefused) as refused:
            self.datagrams(token).bind()
        self.assertEqual(refused.exception.code, code)


class DataTest(RelayTest):
    config = {"security.max_packet_size": 1480}

    def tearDown(self):
        self.assertDatagramsBalance()

    def test_forwarded_unchanged_header_included(self):
        a, b = self.datagram_pair()
        wire = tc.encode_data(a.token.shard_key, a.channel, b"payload")
        with self.counted("forwarded", exactly=1):
            a.send_raw(wire)
            self.assertEqual(b.receive_raw(3.0), wire)

    def test_sizes(self):
        a, b = self.datagram_pair()
        for size in (0, 1, 2, 7, 8, 63, 64, 65, 511, 512, 1199, 1200, 1201, 1464, 1471, 1472):
            with self.subTest(size):
                payload = os.urandom(size)
                a.send(payload)
                self.assertEqual(b.recv(3.0), payload)

    def test_order_within_each_direction(self):
        a, b = self.datagram_pair()
        for start in range(0, 2000, 50):
            for number in range(start, start + 50):
                a.send(struct.pack(">I", number))
                b.send(struct.pack(">I", ~number & 0xFFFFFFFF))
            for number in range(start, start + 50):
                self.assertEqual(b.recv(3.0), struct.pack(">I", number))
                self.assertEqual(a.recv(3.0), struct.pack(">I", ~number & 0xFFFFFFFF))

    def test_bursts_as_games_and_quic_send_them(self):
        """Trains of 1,200 bytes at a 60 Hz tick, each way at once, checked byte by byte."""
        a, b = self.datagram_pair(receive_buffer=4 << 20)
        train, ticks = 40, scaled(60, 600)
        sent, got = {a: 0, b: 0}, {a: 0, b: 0}

        def payload(end, number):
            head = struct.pack(">BI", end.token.slot, number)
            return head + bytes([number % 251]) * 1191 + struct.pack(">I", zlib.crc32(head))

        with self.counted("dropped", at_least=0, exactly=0):
            for tick in range(ticks):
                next_tick = time.monotonic() + 1 / 60
                for end in (a, b):
                    for _ in range(train):
                        end.send(payload(end, sent[end]))
                        sent[end] += 1
                for end, peer in ((a, b), (b, a)):
                    while got[end] < sent[peer]:
                        self.assertEqual(end.recv(3.0), payload(peer, got[end]))
                        got[end] += 1
                select.select([], [], [], max(0, next_tick - time.monotonic()))
        self.assertEqual(got[a] + got[b], 2 * train * ticks)

    def test_data_before_the_peer_is_counted(self):
        a = self.datagrams(self.tokens()[0])
        a.bind()
        with self.counted("drop unpaired", exactly=5):
            for _ in range(5):
                a.send(b"nobody there")

    def test_ping_pong_of_a_bound_channel(self):
        a, _ = self.datagram_pair()
        for size in (0, 1, 7, 8, 100, 1180):
            with self.subTest(size):
                rest = os.urandom(size)
                pong = a.ping(rest)
                self.assertEqual(pong.channel, a.channel)
                self.assertEqual(len(pong.rest), size)
                self.assertEqual(pong.rest[8:], rest[8:])
                if size < 8:
                    self.assertEqual(pong.rest, rest)

    def test_pong_carries_the_relays_clock(self):
        a, _ = self.datagram_pair()
        first = a.ping(bytes(8)).relay_clock_us
        begin = time.monotonic()
        self.assertTrue(eventually(lambda: time.monotonic() - begin > 0.2))
        passed = (a.ping(bytes(8)).relay_clock_us - first) / 1e6
        self.assertAlmostEqual(passed, time.monotonic() - begin, delta=0.15)

    def test_a_padded_ping_probes_the_path(self):
        a, _ = self.datagram_pair()
        self.assertEqual(len(a.ping(bytes(1464)).rest), 1464)

    def test_beacon_for_anyone(self):
        sock = self.stranger_socket(V4)
        for size in (16, 24, 100, 1200):
            with self.subTest(size):
                ping = tc.encode_ping(os.urandom(1)[0], 0, os.urandom(8), bytes(size - 16))
                sock.sendto(ping, self.relay.address())
                sock.settimeout(3)
                pong = sock.recv(2048)
                self.assertEqual(pong[:16], bytes([tc.PONG]) + ping[1:16])
                self.assertEqual(len(pong), size)

    def test_a_ping_on_a_channel_of_others_says_bind_again(self):
        a, _ = self.datagram_pair()
        sock = self.stranger_socket(V4)
        ping = tc.encode_ping(a.token.shard_key, a.channel, os.urandom(8))
        sock.sendto(ping, self.relay.address())
        sock.settimeout(3)
        pong = tc.decode(sock.recv(2048))
        self.assertEqual((pong.channel, pong.nonce), (0, ping[8:16]))

    def test_close_frees_the_slot_and_tells_the_peer(self):
        tokens = self.tokens()
        a, b = self.datagram_pair(tokens)
        channel = b.channel
        a.leave()
        told = b.receive(3.0)
        self.assertIsInstance(told, tc.Bound)
        self.assertEqual(told.state, tc.WAITING)
        with self.counted("dropped"):
            b.send_raw(tc.encode_data(b.token.shard_key, channel, b"gone?"))
        self.assertIsNone(a.recv(0.3))
        again, other = self.datagrams(tokens[0]), self.datagrams(tokens[1])
        b.leave()
        again.bind()
        other.bind()
        again.wait_paired()
        other.wait_paired()
        self.assertExchange(again, other)


class RoamingTest(RelayTest):
    def tearDown(self):
        self.assertDatagramsBalance()

    def test_a_new_socket_takes_the_slot_along(self):
        a, b = self.datagram_pair()
        channel, nonce, bound_bind = a.channel, a.nonce, a.last_bind
        old = a.roam()
        self.addCleanup(old.close)
        self.assertEqual(a.channel, channel)
        old.settimeout(3)
        close = tc.decode(old.recv(2048))
        self.assertIsInstance(close, tc.Close)
        self.assertEqual((close.reason, close.channel, close.nonce),
                         (tc.REPLACED, channel, nonce))
        a.wait_paired()
        self.assertExchange(a, b)

        with self.subTest("a delayed BIND of the old address does not win back"):
            for _ in range(3):
                old.sendto(bound_bind, self.relay.address())
            self.assertExchange(a, b, b"after the delayed BIND")
            if select.select([old], [], [], 0.3)[0]:
                self.assertNotIsInstance(tc.decode(old.recv(2048)), tc.Bound)
        with self.subTest("what the old address still sends does not pass"):
            with self.counted("drop foreign source"):
                old.sendto(tc.encode_data(a.token.shard_key, channel, b"ghost"),
                           self.relay.address())
            self.assertIsNone(b.recv(0.3))
        with self.subTest("the old address cannot close what it lost"):
            old.sendto(tc.encode_close(a.token.shard_key, channel, nonce), self.relay.address())
            self.assertExchange(a, b, b"after the old CLOSE")

    def test_to_another_address_and_back(self):
        a, b = self.datagram_pair(source="127.0.0.2")
        for source in ("127.0.0.3", "127.0.0.2"):
            self.addCleanup(a.roam(source).close)
            self.assertEqual(a.bound.host, source)
            a.wait_paired()
            self.assertExchange(a, b)

    def test_both_ends_move(self):
        a, b = self.datagram_pair()
        self.addCleanup(a.roam().close)
        self.addCleanup(b.roam().close)
        a.wait_paired()
        b.wait_paired()
        self.assertExchange(a, b)

    def test_to_the_other_family(self):
        a, b = self.datagram_pair()
        a.relay = self.relay.address(V6)
        self.addCleanup(a.roam().close)
        a.wait_paired()
        self.assertExchange(a, b)

    def test_while_the_peer_is_not_there_yet(self):
        a_token, b_token = self.tokens()
        a = self.datagrams(a_token)
        a.bind()
        self.addCleanup(a.roam().close)
        b = self.datagrams(b_token)
        b.bind()
        a.wait_paired()
        self.assertExchange(a, b)

    def test_a_cookie_of_the_time_before_the_move_cannot_move_back(self):
        """The old address asked for a cookie before the move and uses it after."""
        a, b = self.datagram_pair()
        old_cookie, old_nonce = a.challenge().cookie, a.nonce
        old = a.roam()
        self.addCleanup(old.close)
        a.wait_paired()
        old.settimeout(0.3)
        old.sendto(tc.encode_bind(a.token, old_nonce, old_cookie), self.relay.address())
        self.assertExchange(a, b)

    def test_traffic_goes_on_during_a_move(self):
        """Only what is under way while the binding moves may be lost."""
        a, b = self.datagram_pair()
        lost = 0
        for number in range(300):
            if number == 150:
                self.addCleanup(a.roam().close)
                a.wait_paired()
            b.send(struct.pack(">I", number))
            lost += a.recv(0.5) != struct.pack(">I", number)
        self.assertEqual(lost, 0)


class SilenceTest(RelayTest):
    config = {"sessions.keepalive_interval_s": 1, "sessions.keepalive_timeout_s": 3,
              "sessions.pair_timeout_s": 3, "sessions.session_timeout_s": 3}

    def test_keepalive_is_told(self):
        self.assertEqual(self.datagrams(self.tokens()[0]).bind().keepalive_s, 1)

    def test_a_silent_side_loses_its_binding(self):
        """What it receives does not count, only what it sends."""
        a, b = self.datagram_pair()
        begin, told = time.monotonic(), None
        while told is None and time.monotonic() - begin < 12:
            a.send(b"are you there")
            message = a.receive(0.5)
            if isinstance(message, tc.Bound) and message.state == tc.WAITING:
                told = message
        self.assertIsNotNone(told, "the counterpart gets BOUND with state 0")
        self.assertGreater(time.monotonic() - begin, 2.0)
        self.assertEqual(b.wait_for(tc.Close, 3.0).reason, tc.IDLE)
        b.bound = None
        b.nonce = os.urandom(8)
        b.bind()
        b.wait_paired()
        a.wait_paired()
        while b.recv(0.2) is not None:
            pass
        self.assertExchange(a, b)

    def test_ping_alone_keeps_a_binding(self):
        a, b = self.datagram_pair()
        begin = time.monotonic()
        while time.monotonic() - begin < 6:
            self.assertIsNotNone(a.ping())
            self.assertIsNotNone(b.ping())
            select.select([], [], [], 0.5)
        self.assertExchange(a, b)

    def test_a_ping_says_when_the_binding_is_gone(self):
        a, _ = self.datagram_pair()
        self.assertMetricBecomes("sessions", 0, timeout=15)
        a.send_raw(tc.encode_ping(a.token.shard_key, a.channel, bytes(8)))
        while (message := a.receive(3.0)) is not None and not isinstance(message, tc.Pong):
            pass
        self.assertIsNotNone(message)
        self.assertEqual(message.channel, 0)

    def test_a_peer_that_left_and_stays_away(self):
        """BOUND with state 0 at once, CLOSE 1 after session_timeout_s."""
        a, b = self.datagram_pair()
        b.leave()
        self.assertEqual(a.wait_for(tc.Bound, 3.0).state, tc.WAITING)
        begin = time.monotonic()
        close = self.keep_alive_until_close(a)
        self.assertEqual(close.reason, tc.PEER_GONE)
        self.assertGreater(time.monotonic() - begin, 2.0)
        self.assertMetricBecomes("sessions", 0)

    def keep_alive_until_close(self, end: tc.Datagrams) -> tc.Close:
        begin = time.monotonic()
        while time.monotonic() - begin < 12:
            end.send_raw(tc.encode_ping(end.token.shard_key, end.channel, bytes(8)))
            message = end.receive(0.5)
            if isinstance(message, tc.Close):
                return message
        self.fail("no CLOSE")

    def test_a_peer_that_never_came(self):
        """The session ends after pair_timeout_s although this side keeps itself alive."""
        a = self.datagrams(self.tokens()[0])
        a.bind()
        begin = time.monotonic()
        self.assertEqual(self.keep_alive_until_close(a).reason, tc.PEER_NEVER_CAME)
        self.assertGreater(time.monotonic() - begin, 2.0)
        self.assertMetricBecomes("sessions", 0)


class StunTest(RelayTest):
    BINDING, INDICATION = 0x0001, 0x0011

    def ask(self, attributes=b"", method=BINDING, host=V4, cookie=tc.STUN_MAGIC):
        transaction = os.urandom(12)
        request = struct.pack(">HHI", method, len(attributes), cookie) + transaction + attributes
        sock = self.stranger_socket(host)
        sock.sendto(request, self.relay.address(host))
        return sock, transaction

    def answer(self, sock, transaction):
        sock.settimeout(3)
        reply = sock.recv(2048)
        kind, length, magic = struct.unpack_from(">HHI", reply)
        self.assertEqual((magic, reply[8:20]), (tc.STUN_MAGIC, transaction))
        self.assertEqual(length, len(reply) - 20)
        attributes, offset = {}, 20
        while offset < len(reply):
            name, size = struct.unpack_from(">HH", reply, offset)
            attributes[name] = reply[offset + 4:offset + 4 + size]
            offset += 4 + (size + 3) // 4 * 4
        return kind, attributes, reply

    def test_xor_mapped_address(self):
        sock, transaction = self.ask()
        kind, attributes, _ = self.answer(sock, transaction)
        self.assertEqual(kind, 0x0101)
        family, port = struct.unpack_from(">xBH", attributes[0x0020])
        self.assertEqual((family, port ^ 0x2112), (1, sock.getsockname()[1]))
        address = struct.unpack(">I", attributes[0x0020][4:])[0] ^ tc.STUN_MAGIC
        self.assertEqual(address, 0x7F000001)

    def test_xor_mapped_address_v6(self):
        sock, transaction = self.ask(host=V6)
        _, attributes, _ = self.answer(sock, transaction)
        mask = struct.pack(">I", tc.STUN_MAGIC) + transaction
        address = bytes(x ^ y for x, y in zip(attributes[0x0020][4:], mask))
        self.assertEqual(address, bytes(15) + b"\x01")

    def test_fingerprint_where_the_request_had_one(self):
        transaction = os.urandom(12)
        head = struct.pack(">HHI", self.BINDING, 8, tc.STUN_MAGIC) + transaction
        mark = zlib.crc32(head) ^ 0x5354554E
        sock = self.stranger_socket(V4)
        sock.sendto(head + struct.pack(">HHI", 0x8028, 4, mark), self.relay.address())
        _, attributes, reply = self.answer(sock, transaction)
        self.assertEqual(struct.unpack(">I", attributes[0x8028])[0],
                         zlib.crc32(reply[:-8]) ^ 0x5354554E)

    def test_none_without_one(self):
        _, attributes, _ = self.answer(*self.ask())
        self.assertNotIn(0x8028, attributes)

    def test_420_for_unknown_required_attributes(self):
        kind, attributes, _ = self.answer(*self.ask(struct.pack(">HHI", 0x7F01, 4, 0)))
        self.assertEqual(kind, 0x0111)
        self.assertEqual(attributes[0x0009][2:4], bytes([4, 20]))
        self.assertEqual(attributes[0x000A], struct.pack(">H", 0x7F01))

    def test_unknown_optional_attributes_are_ignored(self):
        kind, _, _ = self.answer(*self.ask(struct.pack(">HHI", 0x8F01, 4, 0)))
        self.assertEqual(kind, 0x0101)

    def test_dropped_and_counted(self):
        truncated = struct.pack(">HHI", self.BINDING, 0, tc.STUN_MAGIC) + bytes(11)
        wrong_length = struct.pack(">HHI", self.BINDING, 8, tc.STUN_MAGIC) + bytes(12)
        odd_length = struct.pack(">HHI", self.BINDING, 3, tc.STUN_MAGIC) + bytes(15)
        cut_attribute = struct.pack(">HHI12xHH", self.BINDING, 4, tc.STUN_MAGIC, 6, 40)
        other_method = struct.pack(">HHI", 0x0003, 0, tc.STUN_MAGIC) + bytes(12)
        indication = struct.pack(">HHI", self.INDICATION, 0, tc.STUN_MAGIC) + bytes(12)
        response = struct.pack(">HHI", 0x0101, 0, tc.STUN_MAGIC) + bytes(12)
        no_cookie = struct.pack(">HHI", self.BINDING, 0, 0) + bytes(12)
        bad_mark = struct.pack(">HHI12xHHI", self.BINDING, 8, tc.STUN_MAGIC, 0x8028, 4, 7)
        for name, wire in {"truncated": truncated, "wrong length": wrong_length,
                           "odd length": odd_length, "cut attribute": cut_attribute,
                           "other method": other_method, "indication": indication,
                           "response": response, "no magic cookie": no_cookie,
                           "wrong fingerprint": bad_mark}.items():
            with self.subTest(name):
                sock = self.stranger_socket(V4)
                with self.counted("dropped", exactly=1):
                    sock.sendto(wire, self.relay.address())
                self.assertSilent(sock)


class CookieTest(RelayTest):
    """What the cookie is for: nothing is kept, nothing is judged, before it came back."""

    def test_wrong_tokens_get_a_challenge_first(self):
        for key in (KEY, bytes(32)):
            client = self.datagrams(self.tokens(key=key)[0])
            self.assertIsInstance(client.challenge(), tc.Challenge)
        self.assertEqual(self.relay.metric("sessions"), 0)

    def test_a_cookie_for_other_claims(self):
        a_token, b_token = self.tokens()
        a = self.datagrams(a_token)
        cookie = a.challenge().cookie
        a.token = b_token
        a.send_raw(tc.encode_bind(b_token, a.nonce, cookie))
        self.assertIsInstance(a.receive(3.0), tc.Challenge)


if __name__ == "__main__":
    unittest.main()
