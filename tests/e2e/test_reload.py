"""SIGHUP and tandemctl reload: what can change live does, what is wrong changes nothing."""

import signal
import unittest

import tandem_client as tc
from harness import KEY, OTHER_KEY, UNLISTED_KEY, RelayTest, eventually


class ReloadTest(RelayTest):
    config = {"security.max_packet_size": 1472, "log.level": "info"}

    def tearDown(self):
        """Each test begins with the same file and keys."""
        self.relay.write_keys({1: KEY, 2: OTHER_KEY})
        self.relay.write_config(self.config | {"engine.shards": 2})
        self.relay.ctl("reload")
        self.assertTrue(self.passes(1400))

    def passes(self, size: int) -> bool:
        a, b = self.datagram_pair()
        a.send(bytes(size))
        return b.recv(0.5) is not None

    def reload(self, changes: dict):
        self.relay.write_config(changes)
        self.relay.signal(signal.SIGHUP)

    def test_a_changed_limit(self):
        a, b = self.datagram_pair()
        a.send(bytes(1000))
        self.assertIsNotNone(b.recv(3.0))
        self.reload({"security.max_packet_size": 500})
        self.assertTrue(eventually(lambda: not self.passes(1000), timeout=10))
        self.assertTrue(self.passes(492))
        with self.subTest("for sessions that were there before"):
            with self.counted("drop too large"):
                a.send(bytes(1000))
            self.assertExchange(a, b)

    def test_on_every_shard(self):
        self.reload({"security.max_packet_size": 500})
        self.assertTrue(eventually(lambda: not self.passes(1000), timeout=10))
        for low_byte in range(8):
            a, b = self.datagram_pair(self.tokens(tc.fresh_session_id() & ~0xFF | low_byte))
            with self.counted("drop too large", exactly=1):
                a.send(bytes(1000))
            self.assertIsNone(b.recv(0.1))

    def test_by_tandemctl_it_is_done_when_it_returns(self):
        self.relay.write_config({"security.max_packet_size": 500})
        self.assertIn("max_packet_size", self.relay.ctl("reload"))
        self.assertFalse(self.passes(1000))

    def test_what_needs_a_restart_is_named(self):
        self.relay.write_config({"engine.shards": 3})
        self.assertIn("engine.shards", self.relay.ctl("reload"))

    def joins(self, key: bytes, key_id: int) -> bool:
        try:
            token = tc.mint(key, tc.fresh_session_id(), 0, key_id=key_id)
            self.stream().join(token).wait_waiting()
            return True
        except tc.RelayError as error:
            self.assertEqual(error.code, "BAD_TOKEN")
            return False

    def test_the_key_file(self):
        """A new key comes, an old one goes; what is joined stays."""
        pair = self.stream_pair()
        self.assertFalse(self.joins(UNLISTED_KEY, 7))
        self.relay.write_keys({1: KEY, 7: UNLISTED_KEY})
        self.relay.signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: self.joins(UNLISTED_KEY, 7), timeout=10))
        self.assertTrue(self.joins(KEY, 1))
        self.assertFalse(self.joins(OTHER_KEY, 2))
        self.relay.write_keys({2: OTHER_KEY})
        self.relay.signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: self.joins(OTHER_KEY, 2), timeout=10))
        self.assertFalse(self.joins(KEY, 1))
        self.assertJoined(*pair)

    def test_keys_over_udp_too(self):
        self.relay.write_keys({1: KEY, 7: UNLISTED_KEY})
        self.relay.ctl("reload")
        session = tc.fresh_session_id()
        self.assertExchange(*self.datagram_pair((
            tc.mint(UNLISTED_KEY, session, 0, key_id=7), tc.mint(KEY, session, 1))))

    def test_a_wrong_file_changes_nothing(self):
        self.relay.config_file.write_text("[security]\nmax_packet_size = \"many\"\n")
        logged = len(self.relay.log())
        self.relay.signal(signal.SIGHUP)
        self.assertTrue(eventually(lambda: "max_packet_size" in self.relay.log()[logged:]))
        self.assertTrue(self.relay.running())
        self.assertTrue(self.passes(1400))
        self.relay.ctl("reload", expect=1)

    def test_a_wrong_key_file_changes_nothing(self):
        for text in ("", "1 abcd\n", "1 " + "zz" * 32 + "\n", "999 " + "00" * 32 + "\n", "nonse"):
            with self.subTest(text):
                self.relay.key_file.write_text(text)
                self.relay.ctl("reload", expect=1)
                self.assertTrue(self.joins(KEY, 1))

    def test_nobody_notices(self):
        with self.bystander():
            for size in (600, 700, 800) * 3:
                self.relay.write_config({"security.max_packet_size": size})
                self.relay.ctl("reload")


if __name__ == "__main__":
    unittest.main()
