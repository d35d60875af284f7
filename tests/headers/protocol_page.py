#!/usr/bin/env python3
"""Checks docs/PROTOCOL.md against an implementation of its own and against the unit test.

The token vectors, the proof and the PROOF on the page are computed anew here from the page's own
words, and must also stand in the unit test of the token codec: so page, code and an independent
reading of the page agree.

usage: protocol_page.py ROOT
"""

import base64
import hashlib
import hmac
import re
import struct
import sys
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop(1))
PAGE = (ROOT / "docs/PROTOCOL.md").read_text()
UNIT_TEST = (ROOT / "tests/unit/common/token_test.cc").read_text()
KEY = bytes(range(32))

ROW = re.compile(r"^\| (\d+) ([AB]) (\d+) (\d+) ([0-9a-f]{16}) (\d+) (\d+) \| `([\w-]+)` \|$", re.M)


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


def mint(key_id, slot, flags, expires_at, session_id, rate_kbps, lanes_max):
    """The 40 bytes of a token, by the page's table of offsets."""
    claims = struct.pack(">BBBBIQIHH", 1, key_id, "AB".index(slot), flags, expires_at,
                         session_id, rate_kbps, lanes_max, 0)
    return claims + mac(KEY, claims)


def rows():
    """The page's vectors: (the seven fields, the written token)."""
    for key_id, slot, flags, expires_at, session_id, rate, lanes, text in ROW.findall(PAGE):
        yield (int(key_id), slot, int(flags), int(expires_at), int(session_id, 16), int(rate),
               int(lanes)), text


class ProtocolPage(unittest.TestCase):
    def test_there_are_three_token_vectors(self):
        self.assertEqual(len(list(rows())), 3)

    def test_token_vectors_follow_from_the_page(self):
        for fields, text in rows():
            token = base64.urlsafe_b64encode(mint(*fields)).rstrip(b"=").decode()
            self.assertEqual(token, text)

    def test_proofs_follow_from_the_page(self):
        token = mint(*next(rows())[0])
        claims, secret = token[:24], token[24:]
        bind = struct.pack(">BBH8s24s16s", 0x05, token[15], 0, bytes(range(8)), claims,
                           bytes(range(0x10, 0x20)))
        self.assertEqual(len(bind), 52)
        self.assertIn(f"has proof `{mac(secret, bind).hex()}`", PAGE)
        answer = mac(secret, bytes(range(16)) + claims + bytes([2, 0]))
        self.assertIn(f"has PROOF `{answer.hex()}`", PAGE)

    def test_the_unit_test_has_the_same_token_vectors(self):
        for _, text in rows():
            self.assertIn(text, UNIT_TEST)


if __name__ == "__main__":
    unittest.main()
