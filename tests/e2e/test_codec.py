"""The client's own codec against the page's vectors: no daemon is needed."""

import unittest

import tandem_client as tc

KEY = bytes(range(32))
VECTORS = [
    (dict(key_id=1, slot=0, flags=3, session_id=0x0123456789ABCDEF),
     "AQEAA3Db2IABI0VniavN7wAAAAAAAAAAqRKgsjVY4T58CiMJ_oxbGg"),
    (dict(key_id=1, slot=1, flags=3, session_id=0x0123456789ABCDEF),
     "AQEBA3Db2IABI0VniavN7wAAAAAAAAAAFK2XnLPthJN1VNqwbJdJdQ"),
    (dict(key_id=2, slot=0, flags=1, session_id=0xFEDCBA9876543210, rate_kbps=10000, lanes_max=8),
     "AQIAAXDb2ID-3LqYdlQyEAAAJxAACAAARRU16c9ce4jao4VwCsZZfg"),
]


class TokenTest(unittest.TestCase):
    def test_vectors(self):
        for fields, text in VECTORS:
            with self.subTest(text):
                self.assertEqual(tc.mint(KEY, expires_at=1893456000, **fields).text, text)

    def test_parse_gives_the_fields_back(self):
        for fields, text in VECTORS:
            with self.subTest(text):
                token = tc.parse_token(text)
                self.assertTrue(tc.verify(KEY, token))
                self.assertEqual(token.expires_at, 1893456000)
                for name, value in fields.items():
                    self.assertEqual(getattr(token, name), value)

    def test_strict_base64url(self):
        good = VECTORS[0][1]
        for bad in (good + "==", good[:-1], good[:-1] + "h", good.replace("_", "/"), good + "\n"):
            with self.subTest(bad), self.assertRaises(ValueError):
                tc.parse_token(bad)

    def test_a_changed_claim_does_not_verify(self):
        token = tc.parse_token(VECTORS[0][1])
        for index in range(24):
            claims = bytearray(token.claims)
            claims[index] ^= 1
            self.assertFalse(tc.verify(KEY, tc.Token(bytes(claims), token.secret)))


class ProofTest(unittest.TestCase):
    token = tc.parse_token(VECTORS[0][1])

    def test_bind_proof(self):
        bind = tc.encode_bind(self.token, bytes(range(8)), bytes(range(0x10, 0x20)))
        self.assertEqual(len(bind), 96)
        self.assertEqual(bind[52:68].hex(), "9688537303d4e2a812c85ff973f0c54a")
        self.assertEqual(bind[68:], bytes(28))

    def test_first_bind_has_no_proof(self):
        bind = tc.encode_bind(self.token, bytes(range(8)))
        self.assertEqual(bind[36:], bytes(60))

    def test_stream_proof(self):
        proof = tc.stream_proof(self.token, bytes(range(16)), 2, False)
        self.assertEqual(proof.hex(), "2479c3f82700b26241cf6cc1f4b127b3")


class DatagramTest(unittest.TestCase):
    def test_bound(self):
        wire = bytes.fromhex("07ef0100" + "0001020304050607" + "11223344" + "000f" + "05b8" + "0400"
                             + "d431" + "00000000000000000000ffff7f000001")
        bound = tc.decode(wire)
        self.assertEqual((bound.shard_key, bound.state, bound.slot), (0xEF, 1, 0))
        self.assertEqual((bound.channel, bound.keepalive_s, bound.max_payload),
                         (0x11223344, 15, 1464))
        self.assertEqual((bound.host, bound.port), ("127.0.0.1", 54321))

    def test_the_other_layouts(self):
        nonce = bytes(range(8))
        challenge = tc.decode(bytes.fromhex("06ef0000") + nonce + bytes(range(16)))
        self.assertEqual((challenge.nonce, challenge.cookie), (nonce, bytes(range(16))))
        close = tc.decode(tc.encode_close(0xEF, 7, nonce, tc.REPLACED))
        self.assertEqual(close, tc.Close(0xEF, tc.REPLACED, 7, nonce))
        error = tc.decode(bytes.fromhex("0cef0200") + nonce + bytes.fromhex("003c"))
        self.assertEqual((error.name, error.retry_after_s), ("EXPIRED", 60))
        data = tc.decode(tc.encode_data(0xEF, 7, b"payload"))
        self.assertEqual(data, tc.Data(0xEF, 7, b"payload"))
        ping = tc.encode_ping(0xEF, 7, nonce, bytes(8))
        pong = tc.decode(bytes([tc.PONG]) + ping[1:])
        self.assertEqual((pong.channel, pong.nonce, pong.relay_clock_us), (7, nonce, 0))

    def test_nothing_else_decodes(self):
        for wire in (b"", b"\x05" * 96, b"\x06" * 27, b"\x07" * 41, b"\x08" * 7, b"\x0a" * 15,
                     b"\x0b" * 15, b"\x0c" * 15, b"\x0d" * 40):
            with self.subTest(wire[:1].hex()), self.assertRaises(ValueError):
                tc.decode(wire)


class ErrLineTest(unittest.TestCase):
    def test_with_and_without_retry(self):
        error = tc.RelayError("TANDEM/1 ERR RATE_LIMITED retry=3 slow down")
        self.assertEqual((error.code, error.retry, error.text), ("RATE_LIMITED", 3, "slow down"))
        error = tc.RelayError("TANDEM/1 ERR BAD_TOKEN no")
        self.assertEqual((error.code, error.retry, error.text), ("BAD_TOKEN", None, "no"))


if __name__ == "__main__":
    unittest.main()
