"""Leaving in good order: SIGTERM drains, a second one ends at once, drain and undrain by hand."""

import signal
import subprocess
import time
import unittest

import tandem_client as tc
from harness import Daemon, RelayTest, eventually


class OwnDaemonTest(RelayTest):
    """One daemon a test, since each test ends its own."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.relay = Daemon(self.config)
        self.addCleanup(self.relay.discard)
        self.relay.start()
        self.opened: list[tc.Stream] = []
        super().setUp()

    def stream(self, *arguments, **options):
        self.opened.append(super().stream(*arguments, **options))
        return self.opened[-1]

    def assertEnds(self, timeout: float):
        """By itself, with exit code 0 and without a complaint."""
        try:
            code = self.relay.wait(timeout)
        except subprocess.TimeoutExpired:
            self.fail(f"still running after {timeout} s")
        self.assertIsNone(self.relay.complaint(code))


class DrainTest(OwnDaemonTest):
    config = {"sessions.session_timeout_s": 1}

    def drain(self):
        self.relay.signal(signal.SIGTERM)
        self.assertTrue(eventually(lambda: self.relay.ready_status() == 503), "/ready says 503")

    def test_without_sessions_it_ends_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                relay = Daemon(self.config)
                self.addCleanup(relay.discard)
                relay.start()
                relay.signal(number)
                self.assertIsNone(relay.complaint(relay.wait(10)))

    def test_streams(self):
        tokens, other = self.tokens(), self.tokens()
        a, b = self.stream_pair(tokens)
        waiting = self.stream().join(other[0]).wait_waiting()
        self.drain()
        with self.subTest("a new session is refused"), self.counted("join DRAINING"):
            self.assertRefused(self.stream().join(self.tokens()[0]), "DRAINING")
        with self.subTest("the counterpart of a known one joins"):
            late = self.stream().join(other[1]).wait_paired()
            waiting.wait_paired()
            self.assertJoined(waiting, late)
        with self.subTest("another lane of a known one joins"):
            self.assertJoined(*self.stream_pair(tokens, lane=1))
        with self.subTest("what is joined goes on"):
            self.assertJoined(a, b)
        self.assertTrue(self.relay.running())
        for stream in self.opened:
            stream.close()
        self.assertEnds(15)

    def test_datagrams(self):
        tokens, other = self.tokens(), self.tokens()
        a, b = self.datagram_pair(tokens)
        waiting = self.datagrams(other[0])
        waiting.bind()
        self.drain()
        with self.assertRaises(tc.DatagramRefused) as refused:
            self.datagrams(self.tokens()[0]).bind()
        self.assertEqual(refused.exception.code, "DRAINING")
        late = self.datagrams(other[1])
        late.bind()
        waiting.wait_paired()
        self.assertExchange(waiting, late)
        self.assertExchange(a, b)
        for end in (a, b, waiting, late):
            end.leave()
        self.assertEnds(15)

    def test_roaming_goes_on(self):
        a, b = self.datagram_pair()
        self.drain()
        self.addCleanup(a.roam().close)
        a.wait_paired()
        self.assertExchange(a, b)
        self.relay.signal(signal.SIGTERM)
        self.assertEnds(10)

    def test_a_large_transfer_is_not_cut(self):
        a, b = self.stream_pair()
        block = bytes(range(256)) * 256
        a.sendall(block)
        self.drain()
        for _ in range(200):
            a.sendall(block)
            self.assertEqual(b.read_exactly(len(block)), block)
        a.finish()
        self.assertEqual(b.read_exactly(len(block)), block)
        self.assertEqual(b.read_to_end(), b"")
        b.close()
        a.close()
        self.assertEnds(15)

    def test_a_second_signal_ends_at_once(self):
        a, b = self.stream_pair()
        c, d = self.datagram_pair()
        self.drain()
        self.assertJoined(a, b)
        begin = time.monotonic()
        self.relay.signal(signal.SIGTERM)
        self.assertEnds(10)
        self.assertLess(time.monotonic() - begin, 5)
        with self.subTest("nobody is left hanging"):
            for stream in (a, b):
                self.assertTrue(stream.failed(3) or stream.recv(1) == b"")
            for end in (c, d):
                close = end.wait_for(tc.Close, 3.0)
                self.assertIsNotNone(close)
                self.assertEqual(close.reason, tc.DRAINING)

    def test_more_signals_do_not_cut_the_end_short(self):
        self.stream_pair()
        self.drain()
        deadline = time.monotonic() + 20
        while self.relay.running() and time.monotonic() < deadline:
            self.relay.signal(signal.SIGTERM)
        self.assertEnds(1)

    def test_by_hand_and_back(self):
        a, b = self.stream_pair()
        self.relay.ctl("drain")
        self.assertTrue(eventually(lambda: self.relay.ready_status() == 503))
        self.assertRefused(self.stream().join(self.tokens()[0]), "DRAINING")
        self.assertJoined(a, b)
        self.relay.ctl("undrain")
        self.assertTrue(eventually(self.relay.ready))
        self.assertJoined(*self.stream_pair())
        self.assertTrue(self.relay.running(), "draining by hand does not end the daemon")


class DrainTimeoutTest(OwnDaemonTest):
    config = {"sessions.drain_timeout_s": 2}

    def test_a_session_that_does_not_end(self):
        self.stream_pair()
        begin = time.monotonic()
        self.relay.signal(signal.SIGTERM)
        self.assertEnds(15)
        self.assertGreater(time.monotonic() - begin, 1.5)
        self.assertLess(time.monotonic() - begin, 8)


class RestartTest(OwnDaemonTest):
    def test_the_same_ports_and_tokens_again(self):
        """Clients that come back join again: tokens are not bound to a process."""
        tokens = self.tokens()
        for attempt in range(3):
            streams, datagrams = self.stream_pair(tokens), self.datagram_pair(tokens)
            self.assertJoined(*streams)
            self.assertExchange(*datagrams)
            self.assertIsNone(self.relay.complaint(self.relay.stop()), f"attempt {attempt}")
            self.relay.start()

    def test_after_a_kill(self):
        """A killed process's ring lets go of its ports late: the next one tries again."""
        self.stream_pair()
        self.relay.process.kill()
        self.relay.wait(10)
        self.relay.start()
        self.assertJoined(*self.stream_pair())
        self.assertExchange(*self.datagram_pair())
        self.assertIsNone(self.relay.complaint(self.relay.stop()))


if __name__ == "__main__":
    unittest.main()
