"""What strangers and broken clients send over TCP: each gets its documented answer, is counted, and
a pair that talks meanwhile notices nothing."""

import os
import struct
import threading
import time
import unittest

import tandem_client as tc
from harness import (KEY, MIB, OTHER_KEY, READINGS, STRANGER, UNLISTED_KEY, RelayTest,
                     eventually, scaled)

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))
HTTP = b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n"


class BadInputTest(RelayTest):
    """One bystander for the whole class: it must come through every test unharmed."""

    config = {"sessions.handshake_timeout_s": 3}

    def setUp(self):
        super().setUp()
        watch = self.bystander()
        watch.__enter__()
        self.addCleanup(watch.__exit__, None, None, None)

    def visit(self, wire: bytes, **options) -> tc.Stream:
        stream = self.stream(source=STRANGER, **options)
        stream.sendall(wire)
        return stream

    def assertAnswer(self, wire: bytes, expected, **options):
        expected = {expected} if isinstance(expected, str) else expected
        counter = f"join {min(expected)}" if len(expected) == 1 else "joins"
        with self.counted(counter):
            self.assertRefused(self.visit(wire, **options), expected)


class MalformedLineTest(BadInputTest):
    def test_lines(self):
        token = self.tokens()[0].text
        cases = {
            "nothing but a newline": b"\n",
            "only the protocol": b"TANDEM/1\n",
            "protocol and a space": b"TANDEM/1 \n",
            "no verb": f"TANDEM/1 {token}\n".encode(),
            "no token": b"TANDEM/1 JOIN\n",
            "an unknown verb": f"TANDEM/1 LEAVE {token}\n".encode(),
            "a small verb": f"TANDEM/1 join {token}\n".encode(),
            "a small protocol": f"tandem/1 JOIN {token}\n".encode(),
            "tabs for spaces": f"TANDEM/1\tJOIN\t{token}\n".encode(),
            "no slash": f"TANDEM JOIN {token}\n".encode(),
            "another protocol": b"TURN/1 JOIN x\n",
            "bytes above 127": f"TANDEM/1 JOIN {token}".encode() + b" x=\xff\xfe\n",
            "lane without a number": f"TANDEM/1 JOIN {token} lane=\n".encode(),
            "lane is a word": f"TANDEM/1 JOIN {token} lane=one\n".encode(),
            "lane is negative": f"TANDEM/1 JOIN {token} lane=-1\n".encode(),
            "lane with a plus": f"TANDEM/1 JOIN {token} lane=+1\n".encode(),
            "lane with a leading zero": f"TANDEM/1 JOIN {token} lane=01\n".encode(),
            "lane 00": f"TANDEM/1 JOIN {token} lane=00\n".encode(),
            "lane in hexadecimal": f"TANDEM/1 JOIN {token} lane=0x1\n".encode(),
            "a PROOF out of the blue": b"TANDEM/1 PROOF " + b"0" * 32 + b"\n",
            "PROVE without claims": b"TANDEM/1 PROVE\n",
            "http": HTTP,
            "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
            "TLS hello": TLS_HELLO,
            "first byte 0": b"\0" * 64,
            "lane twice": f"TANDEM/1 JOIN {token} lane=0 lane=0\n".encode(),
            "takeover twice": f"TANDEM/1 JOIN {token} takeover=1 takeover=1\n".encode(),
            "takeover is a word": f"TANDEM/1 JOIN {token} takeover=yes\n".encode(),
            "two spaces": f"TANDEM/1 JOIN  {token}\n".encode(),
            "a word without =": f"TANDEM/1 JOIN {token} please\n".encode(),
        }
        for name, wire in cases.items():
            with self.subTest(name):
                self.assertAnswer(wire, "BAD_REQUEST")

    def test_lane_far_out_of_range(self):
        token = self.tokens()[0].text
        for lane in ("256", "65536", "4294967296", "18446744073709551616", "9" * 60):
            with self.subTest(lane):
                self.assertAnswer(f"TANDEM/1 JOIN {token} lane={lane}\n".encode(),
                                  READINGS["lane of absurd length"])

    def test_the_first_byte_decides_without_waiting(self):
        """TLS and the like are told at once, not after the handshake's time."""
        for first in (b"\x16", b"\0", b"G", b"t", b"\xff"):
            with self.subTest(first):
                begin = time.monotonic()
                self.assertAnswer(first, "BAD_REQUEST")
                self.assertLess(time.monotonic() - begin, 2.0)

    def test_versions(self):
        token = self.tokens()[0].text
        for version in ("0", "2", "10", "99"):
            with self.subTest(version):
                self.assertAnswer(f"TANDEM/{version} JOIN {token}\n".encode(), "BAD_VERSION")

    def test_oversize_lines(self):
        token = self.tokens()[0].text
        head = f"TANDEM/1 JOIN {token} pad=".encode()
        for size in (257, 258, 300, 512, 1000, 4096, 65536, 4 * MIB):
            with self.subTest(size):
                wire = head + b"x" * (size - 1 - len(head)) + b"\n"
                stream = self.stream(source=STRANGER)
                with self.counted("join BAD_REQUEST"):
                    sender = threading.Thread(target=_send_ignoring_errors, args=(stream, wire),
                                              daemon=True)
                    sender.start()
                    # Past what the relay drains within its bounds the ERR may be lost to a reset.
                    try:
                        self.assertRefused(stream, "BAD_REQUEST")
                    except (ConnectionResetError, BrokenPipeError, tc.StreamClosed):
                        self.assertGreater(size, 65535)
                    stream.close()
                    sender.join(10)

    def test_binary_noise(self):
        for seed in range(scaled(30, 300)):
            noise = bytes([seed % 84]) + os.urandom(seed * 7 + 1)  # never a T
            self.assertAnswer(noise, "BAD_REQUEST")

    def test_noise_behind_a_good_beginning(self):
        """No newline ever, or at a random place: refused, one way or the other."""
        for seed in range(scaled(30, 300)):
            noise = os.urandom(300).replace(b"\n", b"x") + b"\n"
            self.assertAnswer(b"TANDEM/1 JOIN "[:1 + seed % 14] + noise,
                              {"BAD_REQUEST", "BAD_TOKEN", "BAD_VERSION"})


def _send_ignoring_errors(stream: tc.Stream, wire: bytes) -> None:
    try:
        stream.sendall(wire)
    except OSError:
        pass


class SlowBytesTest(BadInputTest):
    def test_slow_but_in_time(self):
        a_token, b_token = self.tokens()
        a = self.stream(source=STRANGER)
        line = tc.Stream.join_line(a_token)
        step = 1.5 / len(line)
        begin = time.monotonic()
        for index, byte in enumerate(line):
            a.sendall(bytes([byte]))
            eventually(lambda: time.monotonic() - begin > index * step, 2, every=0.005)
        a.wait_waiting()
        self.stream().join(b_token).wait_paired()

    def test_slower_than_the_handshake_timeout(self):
        """Each byte is in time, the line is not: the timeout is on the whole."""
        for wire in (b"T", tc.Stream.join_line(self.tokens()[0])[:-1]):
            with self.subTest(len(wire)):
                stream = self.stream(source=STRANGER, timeout=12)
                begin = time.monotonic()
                stop = threading.Event()

                def trickle():
                    for byte in wire:
                        if stop.wait(0.4):
                            return
                        _send_ignoring_errors(stream, bytes([byte]))

                trickling = threading.Thread(target=trickle, daemon=True)
                with self.counted("joins"):
                    trickling.start()
                    self.assertRefused(stream, "TIMEOUT")
                took = time.monotonic() - begin
                stop.set()
                trickling.join(5)
                self.assertGreater(took, 2.0)
                self.assertLess(took, 8.0)

    def test_an_idle_connection_is_closed(self):
        stream = self.stream(source=STRANGER, timeout=12)
        begin = time.monotonic()
        self.assertRefused(stream, "TIMEOUT")
        self.assertGreater(time.monotonic() - begin, 2.0)
        self.assertLess(time.monotonic() - begin, 8.0)

    def test_no_proof_in_time(self):
        token, _ = self.tokens()
        stream = self.visit(f"TANDEM/1 PROVE {tc.to_base64url(token.claims)}\n".encode(),
                            timeout=12)
        stream.read_nonce()
        begin = time.monotonic()
        self.assertRefused(stream, "TIMEOUT")
        self.assertLess(time.monotonic() - begin, 8.0)

    def test_many_slow_ones_at_once(self):
        """A slowloris: all of them go in time, and the bystander is not disturbed."""
        slow = [self.visit(b"TANDEM/1 JO") for _ in range(scaled(100, 400))]
        deadline = time.monotonic() + 12
        for stream in slow:
            stream.sock.settimeout(max(deadline - time.monotonic(), 0.1))
            self.assertRefused(stream, "TIMEOUT")


class HealthCheckTest(BadInputTest):
    config = BadInputTest.config | {"log.level": "debug", "security.blacklist_threshold": 3}

    def test_connect_and_close(self):
        """Counted, no offence, no log line above debug; a reset is one too."""
        logged = len(self.relay.log())
        with self.counted("health checks", at_least=20):
            for number in range(20):
                stream = self.stream(source=STRANGER)
                stream.reset() if number % 2 else stream.close()
        new = self.relay.log()[logged:].replace('": "', '":"')
        for line in new.splitlines():
            if STRANGER in line:
                self.assertRegex(line, '"level":"debug"')
        # No offence: a good client from there is served.
        self.stream(source=STRANGER).join(self.tokens()[0]).wait_waiting()

    def test_a_fin_before_the_first_byte(self):
        with self.counted("health checks"):
            stream = self.stream(source=STRANGER)
            stream.finish()
            self.assertEqual(stream.read_to_end(), b"")

    def test_closed_within_the_line_leaves_nothing(self):
        for wire in (b"T", b"TANDEM/1 JOIN", tc.Stream.join_line(self.tokens()[0])[:-1]):
            self.visit(wire).close()
        self.assertTrue(eventually(lambda: self.relay.ready()))


class BadTokenTest(BadInputTest):
    def assertTokenRefused(self, token, expected="BAD_TOKEN"):
        """The same outcome by JOIN and by PROVE."""
        with self.counted(f"join {expected}"):
            self.assertRefused(self.stream(source=STRANGER).join(token), expected)
        if isinstance(token, tc.Token):
            stream = self.stream(source=STRANGER)
            with self.counted(f"join {expected}"):
                try:
                    stream.prove(token)
                    code = stream.refusal()
                except tc.RelayError as error:
                    code = error.code
                self.assertEqual(code, expected)

    def test_claims(self):
        now = int(time.time())
        session = tc.fresh_session_id()
        good = tc.mint(KEY, session, 0)
        cases = {
            "signed by another key": tc.mint(UNLISTED_KEY, session, 0),
            "signed by the key of another id": tc.mint(OTHER_KEY, session, 0, key_id=1),
            "an unknown key id": tc.mint(KEY, session, 0, key_id=77),
            "key id 0": tc.mint(KEY, session, 0, key_id=0),
            "version 0": tc.mint(KEY, session, 0, version=0),
            "version 2": tc.mint(KEY, session, 0, version=2),
            "slot 2": tc.mint(KEY, session, 2),
            "slot 255": tc.mint(KEY, session, 255),
            "an unknown flag": tc.mint(KEY, session, 0, flags=1 | 8),
            "the highest flag": tc.mint(KEY, session, 0, flags=1 | 128),
            "reserved is not zero": tc.mint(KEY, session, 0, reserved=1),
            "reserved is not zero, high byte": tc.mint(KEY, session, 0, reserved=0x100),
            "expires too far away": tc.mint(KEY, session, 0, expires_at=now + 86400 + 3600),
            "expires at the end of time": tc.mint(KEY, session, 0, expires_at=2**32 - 1),
            "all zeros": tc.Token(bytes(24), bytes(16)),
            "no secret": tc.Token(good.claims, bytes(16)),
        }
        for name, token in cases.items():
            with self.subTest(name):
                self.assertTokenRefused(token)

    def test_every_bit_of_the_mac(self):
        good = tc.mint(KEY, tc.fresh_session_id(), 0)
        for bit in range(0, 128, scaled(8, 1)):
            secret = bytearray(good.secret)
            secret[bit // 8] ^= 1 << bit % 8
            self.assertAnswer(tc.Stream.join_line(tc.Token(good.claims, bytes(secret))),
                              "BAD_TOKEN")

    def test_every_byte_of_the_claims(self):
        good = tc.mint(KEY, tc.fresh_session_id(), 0)
        for index in range(24):
            claims = bytearray(good.claims)
            claims[index] ^= 1
            self.assertAnswer(tc.Stream.join_line(tc.Token(bytes(claims), good.secret)),
                              "BAD_TOKEN")

    def test_expired(self):
        now = int(time.time())
        for expires_at in (now - 2, now - 3600, 1, 0):
            with self.subTest(expires_at):
                token = tc.mint(KEY, tc.fresh_session_id(), 0, expires_at=expires_at)
                self.assertTokenRefused(token, "EXPIRED")

    def test_an_expired_token_of_a_stranger_is_a_bad_token(self):
        """The MAC is checked before anything else is believed."""
        self.assertTokenRefused(tc.mint(UNLISTED_KEY, tc.fresh_session_id(), 0, expires_at=1))

    def test_the_last_second_counts(self):
        token = tc.mint(KEY, tc.fresh_session_id(), 0, expires_at=int(time.time()) + 2)
        eventually(lambda: time.time() >= token.expires_at, 4, every=0.005)
        self.stream().join(token).wait_waiting()

    def test_at_the_edge_of_the_allowed_age(self):
        token = tc.mint(KEY, tc.fresh_session_id(), 0, expires_at=int(time.time()) + 86400 - 60)
        self.stream().join(token).wait_waiting()

    def test_the_second_key_is_good(self):
        session = tc.fresh_session_id()
        self.assertJoined(*self.stream_pair((
            tc.mint(KEY, session, 0, key_id=1), tc.mint(OTHER_KEY, session, 1, key_id=2))))

    def test_encoding(self):
        """Strict base64url: none of these is 40 bytes of a token."""
        good = self.tokens()[0].text
        expected = READINGS["not base64url of a token's length"]
        unused = good[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[good[-1]]
        cases = {
            "padded": good + "==", "one short": good[:-1], "two short": good[:-2],
            "one long": good + "A", "a slash": good[:20] + "/" + good[21:],
            "a plus": good[:20] + "+" + good[21:], "a dot": good[:20] + "." + good[21:],
            "unused bits": unused, "percent": good[:20] + "%41" + good[23:],
            "one letter": "A", "hexadecimal": "ab" * 40, "empty": "", "a NUL": good + "\0",
        }
        for name, text in cases.items():
            with self.subTest(name):
                self.assertAnswer(f"TANDEM/1 JOIN {text}\n".encode(), expected)

    def test_encoding_of_claims(self):
        good = tc.to_base64url(self.tokens()[0].claims)
        for text in (good + "==", good[:-1], good + "A", good[:10] + "/" + good[11:], "A",
                     self.tokens()[0].text):
            with self.subTest(text):
                self.assertAnswer(f"TANDEM/1 PROVE {text}\n".encode(),
                                  READINGS["not base64url of a token's length"])


class BadProofTest(BadInputTest):
    def challenge(self) -> tuple[tc.Stream, tc.Token, bytes]:
        token, _ = self.tokens()
        stream = self.visit(f"TANDEM/1 PROVE {tc.to_base64url(token.claims)}\n".encode())
        return stream, token, stream.read_nonce()

    def test_malformed_answers(self):
        for wire in (b"\n", b"TANDEM/1 PROOF\n", b"TANDEM/1 PROOF \n",
                     b"TANDEM/1 PROOF " + b"0" * 31 + b"\n", b"TANDEM/1 PROOF " + b"0" * 33 + b"\n",
                     b"TANDEM/1 PROOF " + b"g" * 32 + b"\n", b"TANDEM/1 PROOF " + b"0" * 400,
                     b"\x16\x03\x01", b"PROOF " + b"0" * 32 + b"\n"):
            with self.subTest(wire):
                stream, _, _ = self.challenge()
                stream.sendall(wire)
                with self.counted("joins", at_least=0):
                    self.assertRefused(stream, READINGS["malformed PROOF"])

    def test_join_in_place_of_the_proof(self):
        stream, token, _ = self.challenge()
        stream.sendall(tc.Stream.join_line(token))
        self.assertRefused(stream, READINGS["malformed PROOF"])

    def test_a_proof_is_good_once(self):
        stream, token, nonce = self.challenge()
        proof = tc.stream_proof(token, nonce, 0, False).hex()
        stream.sendall(f"TANDEM/1 PROOF {proof}\n".encode())
        stream.wait_waiting()
        again = self.visit(f"TANDEM/1 PROVE {tc.to_base64url(token.claims)} takeover=1\n".encode())
        again.read_nonce()
        again.sendall(f"TANDEM/1 PROOF {proof}\n".encode())
        self.assertRefused(again, "BAD_TOKEN")

    def test_unknown_claims_are_not_told_from_known_ones_by_join(self):
        """The MAC of claims cannot be had by asking: a proof by a guessed secret fails."""
        claims = struct.pack(">BBBBIQIHH", 1, 1, 0, 3, int(time.time()) + 600,
                             tc.fresh_session_id(), 0, 0, 0)
        guessed = tc.Token(claims, bytes(16))
        with self.assertRaises(tc.RelayError) as refused:
            self.stream(source=STRANGER).prove(guessed).read_status()
        self.assertEqual(refused.exception.code, "BAD_TOKEN")


if __name__ == "__main__":
    unittest.main()
