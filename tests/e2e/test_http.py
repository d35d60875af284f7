"""The monitoring port as back ends and Prometheus use it."""

import json
import shutil
import subprocess
import time
import unittest

import tandem_client as tc
from harness import KEY, OTHER_KEY, UNLISTED_KEY, V4, RelayTest

PATH = "/api/v1/sessions"


class BackEnd(RelayTest):
    def post(self, wanted=None, *, token: str | None = None, expect: int = 201):
        """`wanted` is the body, or what it says as JSON."""
        body = wanted if isinstance(wanted, str) else "" if wanted is None else json.dumps(wanted)
        token = self.relay.operator_token() if token is None else token
        status, headers, text = self.relay.request(
            "POST", PATH, body, {"Authorization": f"Bearer {token}"} if token else {})
        self.assertEqual((status, headers["Content-Type"]), (expect, "application/json"), text)
        return json.loads(text) if status == 201 else json.loads(text)["error"]

    @staticmethod
    def tokens_of(session) -> tuple[tc.Token, tc.Token]:
        return tc.parse_token(session["tokens"]["a"]), tc.parse_token(session["tokens"]["b"])


class SessionsTest(BackEnd):
    """POST /api/v1/sessions: a back end with the operator's token gets both tokens of a session."""

    def test_its_tokens_join_a_session(self):
        before = int(time.time())
        session = self.post()
        self.assertEqual({*session}, {"sessionId", "port", "transports", "expiresAt", "tokens"})
        self.assertEqual(session["port"], self.relay.port)
        self.assertEqual(session["transports"], ["tcp", "udp"])
        self.assertIn(session["expiresAt"] - before - 3600, range(10))
        tokens = self.tokens_of(session)
        self.assertJoined(*self.stream_pair(tokens))
        self.assertExchange(*self.datagram_pair(tokens))
        known = self.relay.ctl_json("session", session["sessionId"])["session"]
        self.assertTrue(known["paired"])

    def test_what_was_asked_for_is_in_the_tokens(self):
        session_id = tc.fresh_session_id()
        session = self.post({"sessionId": f"{session_id:016x}", "transports": ["tcp"],
                             "expiresInS": 120, "rateKbps": 5000, "lanesMax": 2, "prove": True})
        self.assertEqual(session["transports"], ["tcp"])
        tokens = self.tokens_of(session)
        for slot, token in enumerate(tokens):
            self.assertTrue(tc.verify(OTHER_KEY, token))  # the last of the file mints
            self.assertEqual(
                (token.slot, token.session_id, token.flags, token.expires_at, token.rate_kbps,
                 token.lanes_max),
                (slot, session_id, tc.ALLOW_TCP | tc.NEEDS_PROVE, session["expiresAt"], 5000, 2))
        self.assertRefused(self.stream().join(tokens[0]), "NOT_ALLOWED")
        self.assertJoined(*self.stream_pair(tokens, prove=True, lane=1))
        again = self.tokens_of(self.post({"sessionId": f"{session_id:016x}"}))
        self.assertJoined(*self.stream_pair(again))

    def test_each_session_is_another(self):
        ids = {self.post()["sessionId"] for _ in range(20)}
        self.assertEqual(len(ids), 20)

    def test_who_is_not_the_operator_gets_nothing(self):
        right = self.relay.operator_token()
        for token in ("", "wrong", right[:-1], right + "0", right.upper()):
            with self.subTest(token):
                self.assertEqual(self.post(token=token, expect=401)["code"], "AUTH_FAILED")
        self.assertLogged(f"Authentication failed for {V4}")
        _, headers, _ = self.relay.request("POST", PATH)
        self.assertEqual(headers["WWW-Authenticate"], "Bearer")
        self.post()

    def test_what_is_wrong_is_named(self):
        for wanted, named in (({"slot": "a"}, "slot"), ({"transports": ["sctp"]}, "transports"),
                              ({"expiresInS": 86401}, "expiresInS"), ({"prove": 1}, "prove"),
                              ({"sessionId": 1}, "sessionId"), ({"lanesMax": -1}, "lanesMax")):
            with self.subTest(wanted):
                error = self.post(wanted, expect=400)
                self.assertEqual(error["code"], "BAD_REQUEST")
                self.assertIn(f'"{named}"', error["message"])
        for body in ("[]", "{", "transports=tcp", " "):
            self.post(body, expect=400)
        self.post(json.dumps({"x": "x" * 70_000}), expect=413)

    def test_other_methods(self):
        for method in ("DELETE", "PUT"):
            status, headers, _ = self.relay.request(
                method, PATH, headers={"Authorization": f"Bearer {self.relay.operator_token()}"})
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD, POST"))

    def test_a_node_that_drains(self):
        self.relay.ctl("drain")
        self.addCleanup(self.relay.ctl, "undrain")
        self.assertEqual(self.post(expect=503)["code"], "DRAINING")
        self.relay.ctl("undrain")
        self.post()

    def test_a_reload_counts(self):
        self.addCleanup(self.relay.ctl, "reload")
        self.addCleanup(self.relay.write_config, {"node.public_host": "",
                                                  "sessions.token_max_age_s": 86400})
        self.addCleanup(self.relay.write_keys, {1: KEY, 2: OTHER_KEY})
        self.relay.write_keys({1: KEY, 7: UNLISTED_KEY})
        self.relay.write_config({"node.public_host": "relay.example.org",
                                 "sessions.token_max_age_s": 600})
        self.relay.ctl("reload")
        session = self.post()
        self.assertEqual(session["server"], "relay.example.org")
        self.assertLessEqual(session["expiresAt"], int(time.time()) + 600)
        tokens = self.tokens_of(session)
        self.assertTrue(tc.verify(UNLISTED_KEY, tokens[0]))
        self.assertJoined(*self.stream_pair(tokens))

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_by_curl(self):
        """It waits for 100 Continue where it is told to."""
        for more in ([], ["--data", "{}"], ["--data", "{}", "--header", "Expect: 100-continue"]):
            with self.subTest(more):
                done = subprocess.run(
                    ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--request",
                     "POST", "--expect100-timeout", "60", *more, "--oauth2-bearer",
                     self.relay.operator_token(),
                     f"http://{V4}:{self.relay.monitoring_port}{PATH}"],
                    capture_output=True, text=True, timeout=20)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.tokens_of(json.loads(done.stdout))


class OneTransportTest(BackEnd):
    config = {"listen.udp": False}

    def test_no_token_allows_what_is_not_served(self):
        session = self.post()
        self.assertEqual(session["transports"], ["tcp"])
        tokens = self.tokens_of(session)
        self.assertEqual({token.flags for token in tokens}, {tc.ALLOW_TCP})
        self.assertJoined(*self.stream_pair(tokens))
        self.assertIn("UDP", self.post({"transports": ["udp"]}, expect=400)["message"])


if __name__ == "__main__":
    unittest.main()
