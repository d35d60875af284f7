"""The whole way: two clients meet in a room, cannot reach each other, and are given a relay, which
then carries what they send."""

import base64
import http.server
import json
import subprocess
import threading
import time
import unittest

import tandem_client as tc
from browser import CHROMIUM, Browser
from harness import OTHER_KEY, eventually
from room_harness import (NODE_PACKAGES, NODE_SCRIPTS, POLLING_FIRST, WEBSOCKET, RoomTest,
                          node_command, node_environment, room_daemon)

GRANT_FIELDS = {"roomId", "peerClientId", "server", "port", "token", "sessionId", "slot",
                "transports", "expiresAt", "region", "e2eKey"}


class Granted(RoomTest):
    def pair(self, transport=WEBSOCKET):
        a, b = self.player("Ada", transport), self.player("Grace", transport)
        return a, b, self.room_of(a, b)

    @staticmethod
    def report(room: dict, client, peer, **more) -> dict:
        return client.get("p2p:failure",
                          {"roomId": room["id"], "targetClientId": peer.id} | more)

    def grants(self, room, a, b, **more) -> tuple[dict, dict]:
        """What both get when a reports that it cannot reach b."""
        self.report(room, a, b, **more)
        return a.event("use:relay"), b.event("use:relay")

    def tokens_of(self, *grants) -> tuple:
        return tuple(tc.parse_token(grant["token"]) for grant in grants)

    def exchange(self, grants, transport: str, size: int) -> None:
        ends = [{key: grant[key] for key in ("server", "port", "token", "slot")}
                for grant in grants]
        done = subprocess.run(
            [*node_command("relay.cjs"),
             json.dumps({"ends": ends, "transport": transport, "bytes": size})],
            capture_output=True, text=True, timeout=60, env=node_environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        by_slot = {line["slot"]: line for line in map(json.loads, done.stdout.splitlines())}
        self.assertEqual(by_slot[0]["received"], by_slot[1]["sent"])
        self.assertEqual(by_slot[1]["received"], by_slot[0]["sent"])
        self.assertEqual({line["bytes"] for line in by_slot.values()}, {size})


class RelayedTest(Granted):
    def test_what_both_get(self):
        a, b, room = self.pair(POLLING_FIRST)
        ack = self.report(room, a, b, reason="ice failed")
        grants = [client.event("use:relay") for client in (a, b)]
        self.assertEqual({key: ack[key] for key in grants[0]}, grants[0])
        for grant, slot, peer in zip(grants, (0, 1), (b, a)):
            self.assertEqual({*grant}, GRANT_FIELDS)
            self.assertEqual((grant["roomId"], grant["peerClientId"], grant["slot"]),
                             (room["id"], peer.id, slot))
            self.assertEqual((grant["server"], grant["port"], grant["region"]),
                             ("127.0.0.1", self.relay.port, "europe"))
            self.assertEqual(sorted(grant["transports"]), ["tcp", "udp"])
            self.assertGreater(grant["expiresAt"], time.time() + 60)
            self.assertRegex(grant["sessionId"], "^[0-9a-f]{16}$")
            token = tc.parse_token(grant["token"])
            self.assertTrue(tc.verify(OTHER_KEY, token))  # the file's last key mints
            self.assertEqual((token.slot, token.session, token.expires_at),
                             (slot, grant["sessionId"], grant["expiresAt"]))
            self.assertEqual(len(base64.urlsafe_b64decode(grant["e2eKey"] + "=")), 32)
        self.assertEqual(grants[0]["sessionId"], grants[1]["sessionId"])
        self.assertEqual(grants[0]["e2eKey"], grants[1]["e2eKey"])

    def test_one_session_for_a_pair_whoever_reports(self):
        a, b, room = self.pair()
        first = self.grants(room, a, b)
        together = [client.begin("p2p:failure", {"roomId": room["id"], "targetClientId": peer.id})
                    for client, peer in ((a, b), (b, a))]
        for number, client in zip(together, (a, b)):
            self.assertTrue(client.end(number)["success"])
        again = self.grants(room, b, a)  # the reporter's comes first, here b's
        for client, grant in ((a, first[0]), (b, first[1])):
            client.forget()
            self.assertIn(grant["slot"], (0, 1))
        self.assertEqual({grant["sessionId"] for grant in first + again},
                         {first[0]["sessionId"]})
        self.assertEqual([grant["slot"] for grant in again], [1, 0])
        self.assertEqual({grant["e2eKey"] for grant in first + again}, {first[0]["e2eKey"]})
        with self.subTest("fresh tokens of the same session join those that went before"):
            self.assertJoined(*self.stream_pair(self.tokens_of(first[0], again[0])))

    def test_both_at_once(self):
        a, b, room = self.pair()
        numbers = [(client, client.begin("p2p:failure",
                                         {"roomId": room["id"], "targetClientId": peer.id}))
                   for client, peer in ((a, b), (b, a))]
        acks = [client.end(number) for client, number in numbers]
        self.assertEqual(acks[0]["sessionId"], acks[1]["sessionId"])
        self.assertEqual(sorted(ack["slot"] for ack in acks), [0, 1])

    def test_another_room_of_the_same_two_is_another_session(self):
        a, b, room = self.pair()
        other = self.room_of(a, b)
        self.assertNotEqual(self.grants(room, a, b)[0]["sessionId"],
                            self.grants(other, a, b)[0]["sessionId"])

    def test_over_tcp(self):
        a, b, room = self.pair()
        self.exchange(self.grants(room, a, b), "tcp", 8 << 20)

    def test_over_udp(self):
        a, b, room = self.pair()
        self.exchange(self.grants(room, a, b), "udp", 500_000)

    def test_reports(self):
        a, b, room = self.pair()
        grant = self.grants(room, a, b)[0]
        stranger = self.player("Mallory")
        report = {"sessionId": grant["sessionId"], "latencyMs": 21.5, "packetLoss": 0.01,
                  "bandwidthKbps": 900}
        a.get("relay:report", report)
        b.get("relay:report", report)
        stranger.refused("relay:report", report, code="NOT_FOUND")
        token, _ = self.guest()
        relays = self.http("GET", "/api/v1/relays", token=token)[2]["relays"]
        self.assertEqual([(relay["id"], relay["region"], relay["port"]) for relay in relays],
                         [("e2e-node", "europe", self.relay.port)])
        for client in (a, b):
            client.get("relay:beacons", {"relays": [{"id": relays[0]["id"], "rttMs": 1.5}]})
        self.grants(room, a, b)

    def test_a_relay_that_is_said_to_be_unreachable(self):
        """There is no other one here: both get one that works."""
        a, b, room = self.pair()
        first = self.grants(room, a, b)
        again = self.grants(room, a, b, sessionId=first[0]["sessionId"])
        self.assertEqual(again[0]["sessionId"], again[1]["sessionId"])
        self.assertJoined(*self.stream_pair(self.tokens_of(*again)))

    def assertRevoked(self, grants, streams, datagrams):
        for stream in streams:
            self.assertTrue(eventually(lambda: is_over(stream), 5), "its connection goes on")
        for client in datagrams:
            closed = client.wait_for(tc.Close, 5)
            self.assertIsNotNone(closed)
            self.assertEqual(closed.reason, tc.KICKED)
        for token in self.tokens_of(*grants):
            self.assertRefused(self.stream().join(token), "KICKED")
            with self.assertRaises(tc.DatagramRefused) as refused:
                self.datagrams(token).bind()
            self.assertEqual(refused.exception.code, "KICKED")

    def test_a_kick_ends_it(self):
        for event in ("room:kick", "room:ban"):
            with self.subTest(event):
                a, b, room = self.pair()
                grants = self.grants(room, a, b)
                tokens = self.tokens_of(*grants)
                streams, datagrams = self.stream_pair(tokens), self.datagram_pair(tokens)
                with self.bystander():
                    a.get(event, {"roomId": room["id"], "clientId": b.id})
                    self.assertRevoked(grants, streams, datagrams)

    def test_leaving_ends_it(self):
        a, b, room = self.pair()
        grants = self.grants(room, a, b)
        tokens = self.tokens_of(*grants)
        streams, datagrams = self.stream_pair(tokens), self.datagram_pair(tokens)
        b.get("room:leave", {"roomId": room["id"]})
        self.assertRevoked(grants, streams, datagrams)
        with self.subTest("who comes back gets another one"):
            self.join(room, b)
            later = self.grants(room, a, b)
            self.assertNotEqual(later[0]["sessionId"], grants[0]["sessionId"])
            self.assertJoined(*self.stream_pair(self.tokens_of(*later)))

    def test_an_operator_closes_the_room(self):
        a, b, room = self.pair()
        grants = self.grants(room, a, b)
        tokens = self.tokens_of(*grants)
        streams, datagrams = self.stream_pair(tokens), self.datagram_pair(tokens)
        status, _, _ = self.http("DELETE", f"/api/v1/rooms/{room['id']}", token="wrong")
        self.assertEqual(status, 401)
        status, _, reply = self.http("DELETE", f"/api/v1/rooms/{room['id']}",
                                     token=self.relay.operator_token())
        self.assertIn(status, (200, 204), reply)
        for client in (a, b):
            self.assertEqual(client.event("room:closed"),
                             {"roomId": room["id"], "reason": "operator"})
        self.assertRevoked(grants, streams, datagrams)

    def test_no_open_relay(self):
        """However many rooms it opens, one client has only so many sessions."""
        host = self.player()
        others = [self.player(f"Guest{index}") for index in range(7)]
        rooms = [self.room_of(host, *others) for _ in range(4)]
        codes = []
        for room in rooms:
            for other in others:
                ack = host.ask("p2p:failure", {"roomId": room["id"], "targetClientId": other.id})
                codes.append(ack["success"] or ack["error"]["code"])
        granted = codes.count(True)
        self.assertGreaterEqual(granted, 7)  # everybody in a full room
        self.assertEqual(codes, [True] * granted + ["OVER_CAPACITY"] * (28 - granted))
        self.assertLess(granted, 28)
        others[0].get("room:leave", {"roomId": rooms[0]["id"]})
        self.report(rooms[-1], host, others[0])


def is_over(stream: tc.Stream) -> bool:
    stream.sock.settimeout(0.1)
    try:
        return stream.sock.recv(4096) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


class WithoutRelayTest(Granted):
    config = {"listen.tcp": False, "listen.udp": False}

    def test_there_is_none(self):
        a, b, room = self.pair()
        for _ in range(2):
            a.refused("p2p:failure", {"roomId": room["id"], "targetClientId": b.id},
                      code="NO_RELAY")
        b.round_trip()
        self.assertEqual(b.seen("use:relay"), [])


class OneTransportTest(Granted):
    config = {"listen.udp": False, "node.public_host": ""}

    def test_what_is_not_served_is_not_offered(self):
        a, b, room = self.pair()
        grants = self.grants(room, a, b)
        self.assertEqual(grants[0]["transports"], ["tcp"])
        self.assertEqual(grants[0]["server"], "127.0.0.1")  # what the client called it
        self.exchange(grants, "tcp", 100_000)


class Pages(http.server.BaseHTTPRequestHandler):
    """The page and npm's browser build."""

    FILES = {"/": (NODE_SCRIPTS / "page.html", "text/html"),
             "/socket.io.min.js": (NODE_PACKAGES / "socket.io-client/dist/socket.io.min.js",
                                   "text/javascript")}
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, kind = self.FILES.get(self.path.partition("?")[0], (None, None))
        body = b"" if path is None else path.read_bytes()
        self.answer(404 if path is None else 200, body, kind or "text/plain")

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@unittest.skipUnless(CHROMIUM, "chromium is not installed")
class BrowserTest(Granted):
    @classmethod
    def make_daemon(cls):
        cls.site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        thread = threading.Thread(target=cls.site.serve_forever, daemon=True)
        thread.start()
        cls.addClassCleanup(cls.site.server_close)
        cls.addClassCleanup(cls.site.shutdown)
        cls.origin = f"http://127.0.0.1:{cls.site.server_port}"
        return room_daemon(cls.config | cls.for_origin(cls.origin))

    @staticmethod
    def for_origin(_) -> dict:
        return {}

    def visit(self, more: str = "") -> dict:
        browser = Browser()
        self.addCleanup(browser.close)
        page = browser.open(f"{self.origin}/?rooms={self.url}{more}", 800, 600)
        result = eventually(lambda: page.evaluate("window.result"), 30, every=0.2)
        self.assertIsNotNone(result, page.faults)
        self.assertNotIn("fault", result)
        self.assertEqual(page.faults, [])
        return result

    def check(self, result: dict):
        self.assertEqual(result["began"], ["polling"] * 2)
        self.assertEqual(result["upgraded"], ["websocket"] * 2)
        self.assertTrue(result["from"])
        self.assertEqual(result["bytes"], [1, 2, 3, 255])
        grants = sorted(result["granted"], key=lambda grant: grant["slot"])
        self.assertEqual([grant["slot"] for grant in grants], [0, 1])
        self.assertEqual(grants[0]["sessionId"], grants[1]["sessionId"])
        return grants

    def test_a_page_of_another_origin_plays(self):
        grants = self.check(self.visit())
        # The page is gone, but its clients' grace runs: its tokens are good.
        self.assertJoined(*self.stream_pair(self.tokens_of(*grants)))


class CredentialsTest(BrowserTest):
    """Credentials go only to origins that are listed."""

    @staticmethod
    def for_origin(origin):
        return {"room.cors_origins": [origin]}

    def test_a_page_of_another_origin_plays(self):
        self.check(self.visit("&credentials"))


if __name__ == "__main__":
    unittest.main()
