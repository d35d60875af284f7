"""The XDR of Syncthing's relay protocol against bytes written out by hand from its page and RFC
4506."""

import socket
import unittest

import syncthing
from syncthing import Body, Message, ProtocolError

KEY = bytes(range(32))
INVITATION = bytes.fromhex(
    "9e79bc40 00000006 00000058"  # magic, SessionInvitation, 88 bytes
    "00000020" + "ab" * 32 +      # from
    "00000020" + KEY.hex() +      # key
    "00000004 7f000001"           # address
    "00004845"                    # port 18501
    "00000001")                   # server socket
PING = bytes.fromhex("9e79bc40 00000000 00000000")
PONG = bytes.fromhex("9e79bc40 00000001 00000000")


def answering(data):
    """A connection on which the relay said this, and the relay's end."""
    ours, relays = socket.socketpair()
    ours.settimeout(10)
    relays.sendall(data)
    return ours, relays


class Encoding(unittest.TestCase):
    def test_opaque_is_padded_to_four_bytes(self):
        self.assertEqual(syncthing.opaque(b""), bytes(4))
        self.assertEqual(syncthing.opaque(b"abc"), b"\0\0\0\3abc\0")
        self.assertEqual(syncthing.opaque(b"abcd"), b"\0\0\0\4abcd")

    def test_messages(self):
        self.assertEqual(syncthing.encode(Message.join_relay_request),
                         bytes.fromhex("9e79bc40 00000002 00000000"))
        self.assertEqual(syncthing.join_session(KEY),
                         bytes.fromhex("9e79bc40 00000003 00000024 00000020") + KEY)
        self.assertEqual(syncthing.SUCCESS, bytes.fromhex(
            "9e79bc40 00000004 00000010 00000000 00000007") + b"success\0")


class Decoding(unittest.TestCase):
    def read_from(self, data, reader):
        ours, relays = answering(data)
        with ours, relays:
            return reader(ours), relays.recv(64, socket.MSG_DONTWAIT) if data[:12] == PING else b""

    def test_invitation(self):
        self.assertEqual(self.read_from(INVITATION, syncthing.invited_key)[0], KEY)

    def test_pings_are_answered_and_passed_over(self):
        key, said = self.read_from(PING + PING + INVITATION, syncthing.invited_key)
        self.assertEqual((key, said), (KEY, PONG + PONG))

    def test_success(self):
        self.read_from(syncthing.SUCCESS, syncthing.expect_success)

    def refused(self, data, reader, why):
        ours, relays = answering(data)
        relays.close()
        with ours, self.assertRaisesRegex(ProtocolError, why):
            reader(ours)

    def test_refusal_is_named(self):
        self.refused(syncthing.response(1, "not found"), syncthing.expect_success,
                     "response 1: not found")
        self.refused(syncthing.response(2, "already connected"), syncthing.invited_key,
                     "response instead of an invitation")
        self.refused(syncthing.encode(Message.relay_full), syncthing.expect_success,
                     "relay_full instead of a response")

    def test_what_is_no_message(self):
        self.refused(b"HTTP/1.1 400 Bad", syncthing.invited_key, "not a message")
        self.refused(INVITATION[:40], syncthing.invited_key, "closed")

    def test_a_body_that_lies_about_its_size(self):
        with self.assertRaises(ProtocolError):
            Body(bytes.fromhex("00000021") + bytes(36)).opaque(32)
        with self.assertRaises(ProtocolError):
            Body(bytes.fromhex("00000020") + bytes(31)).opaque(32)
        with self.assertRaises(ProtocolError):
            Body(b"\0\0\0").integer()


if __name__ == "__main__":
    unittest.main()
