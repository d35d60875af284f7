"""Streams as the page describes them: joining, lanes, half-close, reset, early data, takeover."""

import hashlib
import threading
import time
import unittest
from pathlib import Path

import tandem_client as tc
from harness import (BASE_CONFIG, MIB, V4, V6, Pattern, RelayTest, eventually, in_threads,
                     receive_hash, scaled, send_pattern)


class JoiningTest(RelayTest):
    def test_join_says_wait_then_paired(self):
        a_token, b_token = self.tokens()
        with self.counted("join PAIRED"):
            a = self.stream().join(a_token)
            self.assertEqual(a.read_line(), "TANDEM/1 WAIT")
            b = self.stream().join(b_token)
            self.assertEqual(b.read_status(), "PAIRED")
            self.assertEqual(a.read_line(), "TANDEM/1 PAIRED")
        self.assertJoined(a, b)

    def test_either_slot_may_come_first(self):
        a_token, b_token = self.tokens()
        b = self.stream().join(b_token).wait_waiting()
        a = self.stream().join(a_token).wait_paired()
        b.wait_paired()
        self.assertJoined(a, b)

    def test_every_shard_takes_sessions_of_every_other(self):
        """The connection lands on any shard, its session's low byte names the right one."""
        for low_byte in range(scaled(16, 64)):
            session = tc.fresh_session_id() & ~0xFF | low_byte
            a, b = self.stream_pair(self.tokens(session))
            self.assertJoined(a, b, low_byte.to_bytes(2, "big"))

    def test_prove_never_shows_the_secret(self):
        a, b = self.stream_pair(prove=True)
        self.assertJoined(a, b)

    def test_prove_on_a_lane_with_takeover(self):
        """Both go into what the proof is made over."""
        a_token, b_token = self.tokens(flags=tc.ALLOW_TCP | tc.NEEDS_PROVE)
        a = self.stream().prove(a_token, lane=3, takeover=True).wait_waiting()
        b = self.stream().prove(b_token, lane=3).wait_paired()
        a.wait_paired()
        self.assertJoined(a, b)

    def test_prove_meets_join(self):
        a_token, b_token = self.tokens()
        a = self.stream().prove(a_token).wait_waiting()
        b = self.stream().join(b_token).wait_paired()
        a.wait_paired()
        self.assertJoined(a, b)

    def test_nonces_differ(self):
        token, _ = self.tokens()
        claims = tc.to_base64url(token.claims)
        nonces = set()
        for _ in range(8):
            stream = self.stream()
            stream.sendall(f"TANDEM/1 PROVE {claims}\n".encode())
            nonces.add(stream.read_nonce())
        self.assertEqual(len(nonces), 8)

    def test_flag_bit_2_forbids_join(self):
        a_token, _ = self.tokens(flags=tc.ALLOW_TCP | tc.NEEDS_PROVE)
        self.assertRefused(self.stream().join(a_token), "NOT_ALLOWED")

    def test_token_without_the_tcp_flag(self):
        a_token, _ = self.tokens(flags=tc.ALLOW_UDP)
        self.assertRefused(self.stream().join(a_token), "NOT_ALLOWED")

    def test_a_wrong_proof(self):
        token, _ = self.tokens()
        for spoil in ("secret", "lane", "takeover", "replay"):
            with self.subTest(spoil):
                stream = self.stream()
                claims = tc.to_base64url(token.claims)
                stream.sendall(f"TANDEM/1 PROVE {claims}\n".encode())
                nonce = stream.read_nonce()
                if spoil == "replay":
                    nonce = bytes(16)
                used = tc.Token(token.claims, bytes(16)) if spoil == "secret" else token
                proof = tc.stream_proof(used, nonce, int(spoil == "lane"), spoil == "takeover")
                stream.sendall(f"TANDEM/1 PROOF {proof.hex()}\n".encode())
                self.assertRefused(stream, "BAD_TOKEN")

    def test_crlf_and_unknown_words(self):
        a_token, b_token = self.tokens()
        a, b = self.stream(), self.stream()
        a.sendall(f"TANDEM/1 JOIN {a_token.text} colour=blue lane=1 x=\r\n".encode())
        a.wait_waiting()
        b.join(b_token, lane=1).wait_paired()
        a.wait_paired()
        self.assertJoined(a, b)

    def test_a_line_of_256_bytes(self):
        a_token, b_token = self.tokens()
        a = self.stream()
        line = f"TANDEM/1 JOIN {a_token.text} pad=".encode()
        a.sendall(line + b"x" * (255 - len(line)) + b"\n")
        a.wait_waiting()
        self.stream().join(b_token).wait_paired()

    def test_one_byte_at_a_time(self):
        a_token, b_token = self.tokens()
        a = self.stream()
        for byte in tc.Stream.join_line(a_token) + b"early":
            a.sendall(bytes([byte]))
        a.wait_waiting()
        b = self.stream().join(b_token).wait_paired()
        a.wait_paired()
        self.assertEqual(b.read_exactly(5), b"early")
        self.assertJoined(a, b)

    def test_third_comer(self):
        tokens = self.tokens()
        a, b = self.stream_pair(tokens)
        for token in tokens:
            with self.counted("join SESSION_FULL"):
                self.assertRefused(self.stream().join(token), "SESSION_FULL")
        self.assertJoined(a, b)

    def test_second_comer_to_a_waiting_slot(self):
        a_token, b_token = self.tokens()
        a = self.stream().join(a_token).wait_waiting()
        self.assertRefused(self.stream().join(a_token), "SESSION_FULL")
        b = self.stream().join(b_token).wait_paired()
        a.wait_paired()
        self.assertJoined(a, b)

    def test_one_that_waited_and_sent_its_fin_has_left(self):
        """It is replaced without takeover."""
        a_token, b_token = self.tokens()
        gone = self.stream().join(a_token).wait_waiting()
        gone.finish()
        a = self.stream().join(a_token).wait_waiting()
        b = self.stream().join(b_token).wait_paired()
        a.wait_paired()
        self.assertJoined(a, b)

    def test_the_same_tokens_again_after_close(self):
        tokens = self.tokens()
        for attempt in range(3):
            a, b = self.stream_pair(tokens)
            self.assertJoined(a, b, f"attempt {attempt}".encode())
            a.close()
            self.assertEqual(b.read_to_end(), b"")
            b.close()
            self.assertMetricBecomes("streams", 0)

    def test_expiry_does_not_end_what_is_joined(self):
        tokens = self.tokens(expires_at=int(time.time()) + 2)
        a, b = self.stream_pair(tokens)
        self.assertTrue(eventually(lambda: time.time() > tokens[0].expires_at + 1.2, 5))
        self.assertRefused(self.stream().join(tokens[0], lane=1), "EXPIRED")
        self.assertJoined(a, b)

    def test_mixed_families(self):
        for hosts in ((V6, V6), (V4, V6), (V6, V4)):
            with self.subTest(hosts):
                self.assertJoined(*self.stream_pair(hosts=hosts))


class LanesTest(RelayTest):
    def test_lanes_0_to_3_at_once(self):
        tokens = self.tokens()
        lanes = [self.stream_pair(tokens, lane=lane) for lane in range(4)]
        for number, (a, b) in enumerate(lanes):
            a.sendall(f"a{number}".encode())
            b.sendall(f"b{number}".encode())
        for number, (a, b) in enumerate(lanes):
            self.assertEqual(b.read_exactly(2), f"a{number}".encode())
            self.assertEqual(a.read_exactly(2), f"b{number}".encode())

    def test_lanes_end_one_by_one(self):
        tokens = self.tokens()
        lanes = [self.stream_pair(tokens, lane=lane) for lane in range(4)]
        for number, (a, b) in enumerate(lanes):
            a.close()
            self.assertEqual(b.read_to_end(), b"")
            b.close()
            for rest in lanes[number + 1:]:
                self.assertJoined(*rest)

    def test_each_slot_has_half_of_the_connections(self):
        """Eight in all, four a slot: the fifth of A fails, B's four are untouched by it."""
        a_token, b_token = self.tokens(lanes_max=8)
        held = [self.stream().join(a_token, lane=lane).wait_waiting() for lane in range(4)]
        self.assertRefused(self.stream().join(a_token, lane=4), "NOT_ALLOWED")
        with self.assertRaises(tc.DatagramRefused) as refused:
            self.datagrams(a_token).bind()
        self.assertEqual(refused.exception.code, "SESSION_FULL")
        others = [self.stream().join(b_token, lane=lane).wait_paired() for lane in range(4)]
        for a, b in zip(held, others):
            a.wait_paired()
            self.assertJoined(a, b)

    def test_a_bound_udp_side_is_one_of_the_four(self):
        a_token, _ = self.tokens(lanes_max=8)
        self.datagrams(a_token).bind()
        for lane in range(3):
            self.stream().join(a_token, lane=lane).wait_waiting()
        self.assertRefused(self.stream().join(a_token, lane=3), "SESSION_FULL")

    def test_lane_past_the_tokens_cap(self):
        a_token, _ = self.tokens(lanes_max=2)
        self.stream().join(a_token, lane=1).wait_waiting()
        self.assertRefused(self.stream().join(a_token, lane=2), "NOT_ALLOWED")

    def test_the_smaller_cap_of_the_two_tokens_holds(self):
        session = tc.fresh_session_id()
        a_token, _ = self.tokens(session, lanes_max=4)
        _, b_token = self.tokens(session, lanes_max=2)
        self.stream_pair((a_token, b_token), lane=0)
        self.assertRefused(self.stream().join(a_token, lane=2), "NOT_ALLOWED")


class TakeoverTest(RelayTest):
    def test_takeover_of_a_joined_lane(self):
        a_token, b_token = self.tokens()
        old_a, old_b = self.stream_pair((a_token, b_token))
        new_a = self.stream().join(a_token, takeover=True)
        new_a.wait_waiting()
        self.assertTrue(old_b.failed(5), "the counterpart of a replaced connection is reset")
        with self.assertRaises(ConnectionResetError):
            old_b.read_to_end()
        self.assertTrue(old_a.failed(5) or old_a.read_to_end() == b"")
        new_b = self.stream().join(b_token).wait_paired()
        new_a.wait_paired()
        self.assertJoined(new_a, new_b)

    def test_takeover_of_a_waiting_one(self):
        a_token, b_token = self.tokens()
        old = self.stream().join(a_token, early=b"of the old").wait_waiting()
        new = self.stream().join(a_token, takeover=True, early=b"of the new").wait_waiting()
        try:
            self.assertEqual(old.read_to_end(), b"")
        except (ConnectionResetError, tc.StreamClosed):
            pass
        b = self.stream().join(b_token).wait_paired()
        new.wait_paired()
        self.assertEqual(b.read_exactly(10), b"of the new")

    def test_takeover_of_nothing_is_a_join(self):
        a_token, b_token = self.tokens()
        a = self.stream().join(a_token, takeover=True).wait_waiting()
        b = self.stream().join(b_token, takeover=True).wait_paired()
        a.wait_paired()
        self.assertJoined(a, b)

    def test_takeover_leaves_the_other_lanes_alone(self):
        tokens = self.tokens()
        self.stream_pair(tokens, lane=0)
        other = self.stream_pair(tokens, lane=1)
        self.stream().join(tokens[0], lane=0, takeover=True).wait_waiting()
        self.assertJoined(*other)


class HalfCloseTest(RelayTest):
    def test_fin_passes_and_the_other_direction_goes_on(self):
        for first in (0, 1):
            with self.subTest(first=first):
                pair = self.stream_pair()
                early, late = pair[first], pair[1 - first]
                early.sendall(b"the last byte")
                early.finish()
                self.assertEqual(late.read_to_end(), b"the last byte")
                size = 4 * MIB
                sent, (count, got) = in_threads(
                    lambda: send_pattern(late, 1, size), lambda: receive_hash(early), timeout=60)
                self.assertEqual((count, got), (size, sent))

    def test_fin_right_behind_the_data(self):
        a, b = self.stream_pair()
        size = 3 * MIB + 17
        sent, (count, got) = in_threads(
            lambda: send_pattern(a, 2, size), lambda: receive_hash(b), timeout=60)
        self.assertEqual((count, got), (size, sent))
        b.sendall(b"still here")
        self.assertEqual(a.read_exactly(10), b"still here")

    def test_fin_before_the_peer_came(self):
        a_token, b_token = self.tokens()
        a = self.stream().join(a_token, early=b"letter").wait_waiting()
        a.finish()
        b = self.stream().join(b_token).wait_paired()
        self.assertEqual(b.read_to_end(), b"letter")
        b.sendall(b"answer")
        b.finish()
        a.wait_paired()
        self.assertEqual(a.read_to_end(), b"answer")

    def test_both_fins_end_the_lane(self):
        tokens = self.tokens()
        a, b = self.stream_pair(tokens)
        a.finish()
        b.finish()
        self.assertEqual((a.read_to_end(), b.read_to_end()), (b"", b""))
        self.assertMetricBecomes("streams", 0)

    def test_a_half_closed_lane_is_still_held(self):
        tokens = self.tokens()
        a, b = self.stream_pair(tokens)
        a.finish()
        self.assertEqual(b.read_to_end(), b"")
        self.assertRefused(self.stream().join(tokens[0]), "SESSION_FULL")
        b.sendall(b"still")
        self.assertEqual(a.read_exactly(5), b"still")


class ResetTest(RelayTest):
    def test_reset_both_ways(self):
        for first in (0, 1):
            with self.subTest(first=first):
                pair = self.stream_pair()
                self.assertJoined(*pair)
                pair[first].reset()
                self.assertTrue(pair[1 - first].failed(5))
                with self.assertRaises(ConnectionResetError):
                    pair[1 - first].read_to_end()
        self.assertMetricBecomes("streams", 0)

    def fill(self, source: tc.Stream) -> int:
        """Sends until the lane takes no more: that direction is then paused."""
        source.sock.setblocking(False)
        block, total, quiet_since = bytes(64 * 1024), 0, time.monotonic()
        while time.monotonic() - quiet_since < 1.0:
            try:
                total += source.sock.send(block)
                quiet_since = time.monotonic()
            except BlockingIOError:
                threading.Event().wait(0.01)
            self.assertLess(total, 256 * MIB, "no backpressure")
        source.sock.settimeout(10)
        return total

    def test_reset_by_the_sender_of_a_paused_direction(self):
        a, b = self.stream_pair(receive_buffer=65536)
        self.fill(a)
        a.reset()
        self.assertTrue(b.failed(5), "B does not read and must see the reset all the same")
        self.assertMetricBecomes("streams", 0)

    def test_reset_by_the_reader_of_a_paused_direction(self):
        a, b = self.stream_pair(receive_buffer=65536)
        self.fill(a)
        b.reset()
        self.assertTrue(a.failed(5), "A is blocked in writing and must see the reset")
        self.assertMetricBecomes("streams", 0)

    def test_reset_with_both_directions_paused(self):
        a, b = self.stream_pair(receive_buffer=65536)
        self.fill(a)
        self.fill(b)
        a.reset()
        self.assertTrue(b.failed(5))
        self.assertMetricBecomes("streams", 0)

    def test_reset_after_the_other_side_half_closed(self):
        a, b = self.stream_pair()
        a.finish()
        self.assertEqual(b.read_to_end(), b"")
        b.reset()
        self.assertTrue(a.failed(5))
        self.assertMetricBecomes("streams", 0)

    def test_reset_while_waiting_frees_the_slot(self):
        tokens = self.tokens()
        a = self.stream().join(tokens[0]).wait_waiting()
        a.reset()
        self.assertMetricBecomes("streams", 0)
        self.assertJoined(*self.stream_pair(tokens))

    def test_a_reset_hurts_nobody_else(self):
        with self.bystander():
            for _ in range(scaled(50, 500)):
                a, b = self.stream_pair()
                a.sendall(b"x" * 4096)
                a.reset()
                self.assertTrue(b.failed(5))
                b.close()


class EarlyDataTest(RelayTest):
    def test_in_the_join_segment(self):
        a_token, b_token = self.tokens()
        a = self.stream().join(a_token, early=b"first words ")
        a.wait_waiting()
        a.sendall(b"and the next")
        b = self.stream().join(b_token, early=b"me too").wait_paired()
        self.assertEqual(b.read_exactly(24), b"first words and the next")
        self.assertEqual(a.wait_paired().read_exactly(6), b"me too")

    def test_behind_the_proof(self):
        a_token, b_token = self.tokens()
        a = self.stream().prove(a_token, early=b"first words").wait_waiting()
        b = self.stream().prove(b_token).wait_paired()
        self.assertEqual(b.read_exactly(11), b"first words")
        self.assertJoined(a.wait_paired(), b)

    def test_early_bytes_that_look_like_lines(self):
        a_token, b_token = self.tokens()
        early = tc.Stream.join_line(a_token) + b"TANDEM/1 PAIRED\n"
        self.stream().join(a_token, early=early).wait_waiting()
        b = self.stream().join(b_token).wait_paired()
        self.assertEqual(b.read_exactly(len(early)), early)

    def test_segments_of_every_length(self):
        """The line's end and the first bytes fall into the relay's reads in every way."""
        for size in (1, 2, 100, 190, 191, 192, 193, 194, 255, 256, 257, 1000, 4096, 70000):
            with self.subTest(size):
                a_token, b_token = self.tokens()
                early = Pattern(size).bytes(size)
                a = self.stream().join(a_token, early=early)
                b = self.stream().join(b_token)
                b.wait_paired()
                self.assertEqual(b.read_exactly(size), early)
                a.wait_paired()
                self.assertJoined(a, b)

    def test_megabytes_before_the_peer_comes(self):
        """Kept by ceasing to read: the client blocks, the daemon does not grow."""
        lanes, size = 20, 8 * MIB
        waiting = []
        before = self.relay.resident_bytes()
        for number in range(lanes):
            a_token, b_token = self.tokens()
            a = self.stream(timeout=120).join(a_token)
            result: list[str] = []
            sender = threading.Thread(
                target=lambda a=a, number=number, result=result:
                result.append(send_pattern(a, number, size)), daemon=True)
            sender.start()
            waiting.append((b_token, sender, result))
        # The kernel's buffers fill within this second; the daemon must not follow.
        peak = max(self.relay.resident_bytes() for _ in range(50)
                   if not threading.Event().wait(0.02))
        self.assertLess(peak - before, 32 * MIB)
        self.assertTrue(all(sender.is_alive() for _, sender, _ in waiting))
        for number, (b_token, sender, result) in enumerate(waiting):
            b = self.stream(timeout=60).join(b_token).wait_paired()
            count, got = receive_hash(b)
            sender.join(10)
            self.assertEqual((count, got), (size, result[0]), f"lane {number}")


class SlowReaderTest(RelayTest):
    # What a daemon may come to hold: each shard's ring of 256 buffers of 64 KiB, touched once, and
    # a window for each lane, in buffers that may be full by half.
    RING, WINDOW = 16 * MIB, 2 * MIB

    def test_memory_stays_bounded_and_nothing_is_lost(self):
        """The relay ceases to read. Where its senders then block is the kernel's affair, whose
        receive buffers had grown while all went well: net.ipv4.tcp_rmem says how far."""
        lanes = 20
        sent_on = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
        size = max(scaled(24, 64) * MIB, 2 * (self.WINDOW + sent_on))
        pairs = [self.stream_pair(receive_buffer=65536, timeout=300) for _ in range(lanes)]
        for a, b in pairs:  # warm, so that only what a slow reader costs is measured
            self.assertJoined(a, b)
        before, taken_before = self.relay.resident_bytes(), self.relay.metric("stream bytes")
        results: list = [None] * lanes

        def send(index: int):
            results[index] = send_pattern(pairs[index][0], index, size)

        senders = [threading.Thread(target=send, args=(index,), daemon=True)
                   for index in range(lanes)]
        for sender in senders:
            sender.start()
        peak, deadline = before, time.monotonic() + scaled(3, 10)
        while time.monotonic() < deadline:
            peak = max(peak, self.relay.resident_bytes())
            threading.Event().wait(0.02)
        taken = self.relay.metric("stream bytes") - taken_before
        print(f"slow readers: {lanes} lanes, resident +{(peak - before) / MIB:.1f} MiB, "
              f"{taken / lanes / MIB:.1f} MiB of {size / MIB:.0f} taken from each")
        self.assertLess(peak - before,
                        BASE_CONFIG["engine.shards"] * self.RING + lanes * self.WINDOW)
        self.assertLess(taken, lanes * (self.WINDOW + sent_on), "no backpressure")
        for index, (_, b) in enumerate(pairs):
            count, got = receive_hash(b)
            senders[index].join(10)
            self.assertEqual((count, got), (size, results[index]))

    def test_a_slow_reader_slows_nobody_else(self):
        a, b = self.stream_pair(receive_buffer=65536)
        stuck = threading.Thread(target=lambda: _until_error(a), daemon=True)
        with self.bystander():
            stuck.start()
            x, y = self.stream_pair(timeout=60)
            size = scaled(16, 128) * MIB
            sent, (count, got) = in_threads(
                lambda: send_pattern(x, 3, size), lambda: receive_hash(y), timeout=120)
            self.assertEqual((count, got), (size, sent))
        b.reset()
        stuck.join(10)
        self.assertFalse(stuck.is_alive())

    def test_a_reader_of_small_bites(self):
        a, b = self.stream_pair(receive_buffer=4096)
        size = scaled(1, 4) * MIB

        def bite() -> str:
            total = hashlib.sha256()
            left = size
            while left:
                chunk = b.recv(min(left, 1 + left % 1777))
                total.update(chunk)
                left -= len(chunk)
            return total.hexdigest()

        sent, got = in_threads(lambda: send_pattern(a, 4, size), bite, timeout=120)
        self.assertEqual(got, sent)


def _until_error(stream: tc.Stream) -> None:
    stream.sock.settimeout(120)
    try:
        while True:
            stream.sendall(bytes(65536))
    except OSError:
        pass


class TimeoutsTest(RelayTest):
    config = {"sessions.pair_timeout_s": 2, "sessions.session_timeout_s": 2,
              "sessions.handshake_timeout_s": 2}

    def test_a_peer_that_never_comes(self):
        a_token, _ = self.tokens()
        with self.counted("join TIMEOUT"):
            a = self.stream().join(a_token, early=b"nobody reads this").wait_waiting()
            begin = time.monotonic()
            self.assertRefused(a, "TIMEOUT")
        self.assertGreater(time.monotonic() - begin, 1.0)
        self.assertLess(time.monotonic() - begin, 6.0)
        self.assertMetricBecomes("streams", 0)

    def test_after_a_timeout_the_same_token_is_good(self):
        tokens = self.tokens()
        self.assertRefused(self.stream().join(tokens[0]).wait_waiting(), "TIMEOUT")
        self.assertJoined(*self.stream_pair(tokens))

    def test_a_silent_lane_is_never_cut(self):
        a, b = self.stream_pair()
        self.assertFalse(a.failed(5))
        self.assertJoined(a, b)

    def test_a_session_without_connections_ends(self):
        self.assertMetricBecomes("sessions", 0, timeout=10)
        a, b = self.stream_pair()
        self.assertMetricBecomes("sessions", 1)
        a.close()
        b.close()
        self.assertMetricBecomes("sessions", 0, timeout=10)

    def test_a_lane_keeps_its_session(self):
        tokens = self.tokens()
        one, other = self.stream_pair(tokens, lane=0), self.stream_pair(tokens, lane=1)
        one[0].close()
        one[1].close()
        self.assertFalse(other[0].failed(4))
        self.assertJoined(*other)
        self.assertJoined(*self.stream_pair(tokens, lane=0))


class StalledReaderTest(RelayTest):
    config = {"sessions.keepalive_interval_s": 1, "sessions.keepalive_timeout_s": 2}

    def test_a_reader_that_pauses_is_alive(self):
        """It answers every probe of its closed window: silent but live, so it is never cut."""
        a, b = self.stream_pair(receive_buffer=65536, timeout=60)
        size = 24 * MIB
        sent: list[str] = []
        sender = threading.Thread(target=lambda: sent.append(send_pattern(a, 1, size)),
                                  daemon=True)
        sender.start()
        self.assertFalse(b.failed(6), "cut while it paused")
        count, got = receive_hash(b)
        sender.join(10)
        self.assertEqual((count, [got]), (size, sent))


if __name__ == "__main__":
    unittest.main()
