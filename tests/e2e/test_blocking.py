"""The block list, filled by offences and by hand; kicks; the operator's tool."""

import json
import time
import unittest

import tandem_client as tc
from harness import KEY, OTHER_KEY, STRANGER, UNLISTED_KEY, V6, RelayTest, eventually

BLOCK_SECONDS = 4


class BlockedAfterOffencesTest(RelayTest):
    config = {"engine.shards": 1,  # so that the number is exact
              "security.blacklist_threshold": 5, "security.blacklist_duration_s": BLOCK_SECONDS,
              "security.exempt": ["127.0.0.200/32"]}

    def offend(self, source: str, times: int, host="127.0.0.1") -> list[str]:
        codes = []
        for _ in range(times):
            stream = self.stream(host, source=source).join(self.tokens(key=UNLISTED_KEY)[0])
            codes.append(stream.refusal())
        return codes

    def test_bad_tokens(self):
        source = "127.0.0.71"
        with self.bystander(), self.counted("auto blocks"), self.counted("join BLOCKED"):
            codes = self.offend(source, 8)
            self.assertEqual(codes[0], "BAD_TOKEN")
            self.assertEqual(codes[-1], "BLOCKED")
            self.assertIn(codes.index("BLOCKED"), (5, 6))
        with self.subTest("good tokens from there are refused too"):
            stream = self.stream(source=source).join(self.tokens()[0])
            with self.assertRaises(tc.RelayError) as refused:
                stream.read_status()
            self.assertEqual(refused.exception.code, "BLOCKED")
            self.assertLessEqual(refused.exception.retry or 0, BLOCK_SECONDS)
        with self.subTest("and over UDP"):
            client = self.datagrams(self.tokens()[0], source=source)
            with self.assertRaises((tc.DatagramRefused, TimeoutError)) as refused:
                client.bind(1.5)
            if isinstance(refused.exception, tc.DatagramRefused):
                self.assertEqual(refused.exception.code, "BLOCKED")
        with self.subTest("the neighbour is not"):
            self.stream(source="127.0.0.72").join(self.tokens()[0]).wait_waiting()
        with self.subTest("fail2ban's line"):
            self.assertLogged(f"Authentication failed for {source}")
        with self.subTest("it ends"):
            self.assertTrue(eventually(lambda: self.is_served(source), BLOCK_SECONDS + 4, 0.2))

    def is_served(self, source: str) -> bool:
        try:
            self.stream(source=source).join(self.tokens()[0]).wait_waiting()
            return True
        except tc.RelayError as error:
            self.assertEqual(error.code, "BLOCKED")
            return False

    def test_malformed_lines(self):
        codes = []
        for _ in range(8):
            stream = self.stream(source="127.0.0.73")
            stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
            codes.append(stream.refusal())
        self.assertEqual((codes[0], codes[-1]), ("BAD_REQUEST", "BLOCKED"))

    def test_wrong_proofs_over_udp(self):
        """An address that a cookie proved; what is spoofed never counts."""
        codes = []
        while len(codes) < 8 and codes[-1:] != ["silence"]:
            client = self.datagrams(self.tokens(key=UNLISTED_KEY)[0], source="127.0.0.74")
            try:
                client.bind(1.5)
            except tc.DatagramRefused as error:
                codes.append(error.code)
            except TimeoutError:
                codes.append("silence")
        self.assertEqual(codes[:5], ["BAD_TOKEN"] * 5)
        self.assertIn(codes[-1], ("BLOCKED", "silence"))

    def test_what_proves_nothing_never_blocks(self):
        source = "127.0.0.75"
        sock = self.stranger_socket(source)
        with self.counted("received", at_least=200):
            for number in range(200):
                sock.sendto(bytes([number]) + bytes(number), self.relay.address())
        self.assertTrue(self.is_served(source))

    def test_health_checks_are_no_offence(self):
        for _ in range(20):
            self.stream(source="127.0.0.76").close()
        self.assertTrue(self.is_served("127.0.0.76"))

    def test_exempt_networks_are_never_blocked(self):
        self.assertEqual(set(self.offend("127.0.0.200", 20)), {"BAD_TOKEN"})

    def test_a_v6_address_stands_for_its_64(self):
        codes = self.offend(V6, 8, host=V6)
        self.assertEqual((codes[0], codes[-1]), ("BAD_TOKEN", "BLOCKED"))


class BlockedOnEveryShardTest(RelayTest):
    config = {"engine.shards": 4, "security.blacklist_threshold": 5}

    def test_a_block_holds_on_all_of_them(self):
        """Whether they count together or each for itself, four times the threshold is enough, and
        then no shard serves the address."""
        source = "127.0.0.77"

        def blocked() -> bool:
            token = self.tokens(key=UNLISTED_KEY)[0]
            return self.stream(source=source).join(token).refusal() == "BLOCKED"

        tries = 0
        while not blocked():
            tries += 1
            self.assertLessEqual(tries, 4 * 5)
        self.assertTrue(eventually(lambda: all(blocked() for _ in range(16))))


class BlockedByHandTest(RelayTest):
    def test_block_and_unblock(self):
        with self.bystander():
            self.relay.ctl("block", STRANGER)
            with self.counted("join BLOCKED"):
                self.assertRefused(self.stream(source=STRANGER).join(self.tokens()[0]), "BLOCKED")
            self.assertIn(STRANGER, self.relay.ctl("blocks"))
            self.relay.ctl("unblock", STRANGER)
            self.stream(source=STRANGER).join(self.tokens()[0]).wait_waiting()

    def test_a_network(self):
        self.relay.ctl("block", "127.0.1.0/24")
        for source in ("127.0.1.1", "127.0.1.254"):
            self.assertRefused(self.stream(source=source).join(self.tokens()[0]), "BLOCKED")
        self.stream(source="127.0.2.1").join(self.tokens()[0]).wait_waiting()
        self.relay.ctl("unblock", "127.0.1.0/24")
        self.stream(source="127.0.1.1").join(self.tokens()[0]).wait_waiting()

    def test_who_is_connected(self):
        """Whoever is not paired yet is told, a pair is reset, nobody else notices."""
        source, (a_token, b_token) = "127.0.0.82", self.tokens()
        with self.bystander():
            silent = self.stream(source=source)
            proving = self.stream(source=source)
            proving.sendall(f"TANDEM/1 PROVE {a_token.text[:32]} lane=2\n".encode())
            proving.read_nonce()
            waiting = self.stream(source=source).join(a_token, lane=1).wait_waiting()
            pair = self.stream(source=source).join(a_token).wait_waiting(), self.stream()
            pair[1].join(b_token).wait_paired()
            pair[0].wait_paired()
            counterpart = self.stream().join(b_token, lane=3).wait_waiting()
            with self.counted("join BLOCKED", exactly=3):
                self.relay.ctl("block", source)
                for stream in (silent, proving, waiting):
                    self.assertRefused(stream, "BLOCKED")
            for stream in pair:
                self.assertTrue(stream.failed(5))
            self.relay.ctl("unblock", source)
            self.stream(source=source).join(a_token, lane=3).wait_paired()
            counterpart.wait_paired()

    def test_for_some_seconds(self):
        self.relay.ctl("block", "127.0.0.81", "--for", "1")
        self.assertRefused(self.stream(source="127.0.0.81").join(self.tokens()[0]), "BLOCKED")

        def served():
            try:
                return self.stream(source="127.0.0.81").join(self.tokens()[0]).wait_waiting()
            except tc.RelayError:
                return None

        self.assertTrue(eventually(served, 6, every=0.2))

    def test_nonsense_is_refused(self):
        for text in ("nonsense", "127.0.0.1/33", "300.0.0.1", ""):
            with self.subTest(text):
                self.relay.ctl("block", text, expect=None)
                self.assertJoined(*self.stream_pair())


class KickTest(RelayTest):
    def test_kick_ends_the_session_and_refuses_its_tokens(self):
        tokens = self.tokens()
        streams, (a, b) = self.stream_pair(tokens), self.datagram_pair(tokens)
        with self.bystander():
            self.relay.ctl("kick", tokens[0].session)
            for stream in streams:
                self.assertTrue(stream.failed(5) or stream.recv(1) == b"")
            for end in (a, b):
                close = end.wait_for(tc.Close, 3.0)
                self.assertEqual((close.reason, close.channel), (tc.KICKED, end.channel))
            for token in tokens:
                with self.counted("join KICKED"):
                    self.assertRefused(self.stream().join(token), "KICKED")
                with self.assertRaises(tc.DatagramRefused) as refused:
                    self.datagrams(token).bind()
                self.assertEqual(refused.exception.code, "KICKED")

    def test_until_its_tokens_have_expired(self):
        tokens = self.tokens(expires_at=int(time.time()) + 4)
        self.stream_pair(tokens)
        self.relay.ctl("kick", tokens[0].session)
        self.assertRefused(self.stream().join(tokens[0]), "KICKED")
        eventually(lambda: time.time() > tokens[0].expires_at + 1, 8)
        self.assertRefused(self.stream().join(tokens[0]), "EXPIRED")

    def test_others_of_the_session_that_expire_later_are_refused_too(self):
        """The relay cannot know which tokens were minted."""
        session = tc.fresh_session_id()
        self.stream_pair(self.tokens(session, expires_at=int(time.time()) + 60))
        self.relay.ctl("kick", f"{session:016x}")
        later = self.tokens(session, expires_at=int(time.time()) + 3600)
        self.assertRefused(self.stream().join(later[0]), "KICKED")

    def test_kick_of_a_waiting_one(self):
        token, _ = self.tokens()
        stream = self.stream().join(token).wait_waiting()
        self.relay.ctl("kick", token.session)
        try:
            self.assertRefused(stream, "KICKED")
        except (tc.StreamClosed, ConnectionResetError):
            pass
        self.assertRefused(self.stream().join(token), "KICKED")

    def test_kick_of_an_unknown_id(self):
        self.relay.ctl("kick", "00000000deadbeef", expect=1)
        self.relay.ctl("kick", "nonsense", expect=None)


class OperatorTest(RelayTest):
    def test_status(self):
        self.assertTrue(self.relay.ctl("status"))
        self.assertIsInstance(self.relay.ctl_json("status"), dict)

    def test_sessions_and_session(self):
        tokens = self.tokens()
        a, b = self.stream_pair(tokens)
        a.sendall(b"x" * 1000)
        self.assertEqual(len(b.read_exactly(1000)), 1000)
        self.assertIn(tokens[0].session, self.relay.ctl("sessions"))
        self.assertIn(tokens[0].session, json.dumps(self.relay.ctl_json("sessions")))
        self.assertIn(tokens[0].session, json.dumps(self.relay.ctl_json("session",
                                                                        tokens[0].session)))
        self.relay.ctl("session", "00000000deadbeef", expect=1)

    def test_minted_tokens_are_those_of_the_page(self):
        """The last key of the file mints where none is marked."""
        texts = self.find_tokens(self.relay.ctl("token", "mint", "--new"))
        self.assertEqual(len(texts), 2)
        tokens = [tc.parse_token(text) for text in texts]
        for slot, token in enumerate(tokens):
            self.assertTrue(tc.verify(OTHER_KEY, token))
            self.assertEqual((token.key_id, token.slot), (2, slot))
            self.assertGreater(token.expires_at, time.time())
        self.assertEqual(tokens[0].session_id, tokens[1].session_id)
        self.assertJoined(*self.stream_pair(tuple(tokens)))

    def test_minting_with_options(self):
        output = self.relay.ctl("token", "mint", "--session", "0123456789abcdef", "--rate-kbps",
                                "5000", "--lanes", "2", "--tcp", "--prove")
        for text in self.find_tokens(output):
            token = tc.parse_token(text)
            self.assertEqual(token.session, "0123456789abcdef")
            self.assertEqual((token.rate_kbps, token.lanes_max), (5000, 2))
            self.assertEqual(token.flags, tc.ALLOW_TCP | tc.NEEDS_PROVE)

    def test_minting_without_a_daemon(self):
        keys = self.relay.folder / "one-key"
        keys.write_text(f"1 {KEY.hex()}\n")
        keys.chmod(0o600)
        output = self.relay.ctl("token", "mint", "--new", "--key-file", str(keys))
        for text in self.find_tokens(output):
            self.assertTrue(tc.verify(KEY, tc.parse_token(text)))

    def find_tokens(self, output: str) -> list[str]:
        found: dict[str, None] = {}  # in order, each once
        for word in output.replace('"', " ").replace(",", " ").split():
            try:
                tc.parse_token(word)
                found[word] = None
            except ValueError:
                pass
        return list(found)

    def test_loglevel(self):
        self.relay.ctl("loglevel", "debug")
        self.relay.ctl("loglevel", "info")
        self.relay.ctl("loglevel", "loud", expect=None)

    def test_exit_codes(self):
        self.relay.ctl("no-such-command", expect=2)
        self.relay.ctl(expect=2)


if __name__ == "__main__":
    unittest.main()
