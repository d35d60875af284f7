"""Engine.IO v4 and Socket.IO v5 over real connections, against conformance-server.

Written from the protocols' specifications, with a WebSocket client of its own: what a stock client
library would forgive is looked at byte by byte here.
"""

import base64
import contextlib
import http.client
import json
import os
import socket
import struct
import subprocess
import time
import unittest

from harness import BUILD, V4, V6

SEPARATOR = "\x1e"
DEADLINE_S = 20.0
# Where pings are not what is tested, none comes, so that a slow machine is no reason to fail.
NO_PINGS = ("--ping-interval", "60000", "--ping-timeout", "60000")


class Server:
    """A conformance-server on a free port, stopped by its pid."""

    def __init__(self, protocol: str, *options: str):
        self.protocol = protocol
        self.process = subprocess.Popen(
            [BUILD / "conformance-server", protocol, "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on port "):
            raise RuntimeError(f"conformance-server: {line}{self.process.stderr.read()}")
        self.port = int(line.split()[-1])

    def stop(self) -> None:
        self.process.terminate()
        _, complaints = self.process.communicate(timeout=DEADLINE_S)
        if self.process.returncode != 0 or complaints:
            raise AssertionError(f"conformance-server ended with {self.process.returncode}: {complaints}")

    def path(self, query: str) -> str:
        return f"/{self.protocol}/?{query}"

    def figures(self) -> dict[str, float]:
        connection = http.client.HTTPConnection(V4, self.port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class WebSocket:
    """One client's WebSocket (RFC 6455), without extensions."""

    TEXT, BINARY, CLOSE = 1, 2, 8

    def __init__(self, server: Server, query: str, address: str = V4):
        self.socket = socket.create_connection((address, server.port), timeout=DEADLINE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {server.path(query)} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            .encode())
        self.pending = b""
        head = self._take_until(b"\r\n\r\n").decode()
        self.status = int(head.split()[1])

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server has closed")
        self.pending += data

    def _take_until(self, mark: bytes) -> bytes:
        while mark not in self.pending:
            self._receive()
        head, self.pending = self.pending.split(mark, 1)
        return head

    def _take(self, size: int) -> bytes:
        while len(self.pending) < size:
            self._receive()
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def send(self, message: str | bytes, pieces: int = 1) -> None:
        opcode = self.TEXT if isinstance(message, str) else self.BINARY
        payload = message.encode() if isinstance(message, str) else message
        step = max(1, -(-len(payload) // pieces))
        parts = [payload[at:at + step] for at in range(0, len(payload), step)] or [b""]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            self._send_frame((0x80 if last else 0) | (opcode if number == 0 else 0), part)

    def _send_frame(self, first: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([first])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def receive(self) -> str | bytes | None:
        """The next message; None where the server closes."""
        try:
            first, second = self._take(2)
            size = second
            if size == 126:
                size, = struct.unpack("!H", self._take(2))
            elif size == 127:
                size, = struct.unpack("!Q", self._take(8))
            payload = self._take(size)
        except ConnectionResetError:
            return None
        if first & 15 == self.CLOSE:
            return None
        if first not in (0x80 | self.TEXT, 0x80 | self.BINARY):
            raise AssertionError(f"a frame that begins with {first:#x}")
        return payload.decode() if first & 15 == self.TEXT else payload

    def receive_past_pings(self) -> str | bytes | None:
        """Answers pings on the way."""
        while (message := self.receive()) == "2":
            self.send("3")
        return message

    def close(self) -> None:
        self.socket.close()


class ProtocolTest(unittest.TestCase):
    PROTOCOL = "engine.io"
    OPTIONS: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.PROTOCOL, *cls.OPTIONS)
        cls.addClassCleanup(cls.server.stop)

    def tearDown(self):
        """Nothing of a test is left on the server once its clients have gone, but what is parked."""
        self.doCleanups()
        ends = time.monotonic() + DEADLINE_S
        while True:
            figures = self.server.figures()
            left = {name: value for name, value in figures.items() if value and (
                name.startswith("tandem_engine_sessions{") or 'state="connected"' in name)}
            if not left:
                return
            self.assertLess(time.monotonic(), ends, left)
            time.sleep(0.02)

    def request(self, method: str, query: str, body: bytes | str | None = None,
                headers: dict[str, str] | None = None, address: str = V4) -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, self.server.port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            if isinstance(body, str):
                body = body.encode()
            connection.request(method, self.server.path(query), body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def open_polling(self) -> str:
        status, body = self.request("GET", "EIO=4&transport=polling")
        self.assertEqual(status, 200)
        self.assertEqual(body[0], "0")
        return json.loads(body[1:])["sid"]

    def poll(self, sid: str) -> tuple[int, str]:
        return self.request("GET", f"EIO=4&transport=polling&sid={sid}")

    def post(self, sid: str, body: bytes | str) -> tuple[int, str]:
        return self.request("POST", f"EIO=4&transport=polling&sid={sid}", body)

    def leave(self, sid: str) -> None:
        self.assertEqual(self.post(sid, "1"), (200, "ok"))

    def begin_poll(self, sid: str) -> http.client.HTTPConnection:
        """A poll whose answer is not waited for."""
        connection = http.client.HTTPConnection(V4, self.server.port, timeout=DEADLINE_S)
        self.addCleanup(connection.close)
        connection.request("GET", self.server.path(f"EIO=4&transport=polling&sid={sid}"))
        return connection

    def connect(self, query: str, address: str = V4) -> WebSocket:
        websocket = WebSocket(self.server, query, address)
        self.addCleanup(websocket.close)
        return websocket

    def open_websocket(self, address: str = V4) -> WebSocket:
        websocket = self.connect("EIO=4&transport=websocket", address)
        self.assertEqual(websocket.status, 101)
        self.assertEqual(websocket.receive()[:1], "0")
        return websocket

    def assert_ended(self, sid: str) -> None:
        self.assertEqual(self.poll(sid)[0], 400)

    def assert_closed(self, websocket: WebSocket) -> None:
        self.assertIsNone(websocket.receive_past_pings())


class EngineTest(ProtocolTest):
    OPTIONS = NO_PINGS

    def test_handshakes(self):
        expected = {"pingInterval": 60_000, "pingTimeout": 60_000, "maxPayload": 1_000_000}
        for address in (V4, V6):
            status, body = self.request("GET", "EIO=4&transport=polling", address=address)
            self.assertEqual(status, 200)
            polling = json.loads(body[1:])
            websocket = self.connect("EIO=4&transport=websocket", address)
            opened = json.loads(websocket.receive()[1:])
            self.assertNotEqual(polling["sid"], opened["sid"])
            for handshake, upgrades in ((polling, ["websocket"]), (opened, [])):
                sid = handshake["sid"]
                self.assertRegex(sid, "^[A-Za-z0-9_-]{20}$")
                self.assertEqual(handshake, expected | {"sid": sid, "upgrades": upgrades})
            self.leave(polling["sid"])

    def test_the_path_without_its_slash(self):
        connection = http.client.HTTPConnection(V4, self.server.port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request("GET", "/engine.io?EIO=4&transport=polling")
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            self.leave(json.loads(response.read()[1:])["sid"])

    def test_what_is_wrong_with_a_request_is_said(self):
        cases = [
            ("GET", "EIO=4", 0), ("GET", "EIO=4&transport=abc", 0),
            ("GET", "EIO=4&transport=polling&sid=unknown", 1),
            ("POST", "EIO=4&transport=polling", 2), ("PUT", "EIO=4&transport=polling", 2),
            ("GET", "EIO=4&transport=websocket", 3), ("GET", "transport=polling", 5),
            ("GET", "EIO=3&transport=polling", 5), ("GET", "EIO=abc&transport=polling", 5)]
        messages = ["Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request",
                    "Forbidden", "Unsupported protocol version"]
        for method, query, code in cases:
            with self.subTest(method=method, query=query):
                status, body = self.request(method, query)
                self.assertEqual(status, 400)
                self.assertEqual(json.loads(body), {"code": code, "message": messages[code]})
        for query in ("EIO=4", "EIO=4&transport=abc", "transport=websocket",
                      "EIO=3&transport=websocket", "EIO=4&transport=websocket&sid=unknown"):
            with self.subTest(websocket=query):
                self.assertEqual(self.connect(query).status, 400)

    def test_messages_by_polling(self):
        sid = self.open_polling()
        payload = SEPARATOR.join(["4hello", "4", "4é€😀", "bAQIDBA==", "b"])
        self.assertEqual(self.post(sid, payload), (200, "ok"))
        self.assertEqual(self.poll(sid), (200, payload))
        parked = self.begin_poll(sid)
        self.assertEqual(self.post(sid, "4later"), (200, "ok"))
        response = parked.getresponse()
        self.assertEqual(response.getheader("Content-Type"), "text/plain; charset=UTF-8")
        self.assertEqual(response.read(), b"4later")
        self.leave(sid)

    def test_messages_by_websocket(self):
        websocket = self.open_websocket()
        for message in ("4hello", "4", "4é€😀", b"\x00\x01\xff", b"", "4" + "x" * 70_000):
            websocket.send(message)
            self.assertEqual(websocket.receive_past_pings(), message)
        for pieces in (2, 5, 100):
            websocket.send("4é€😀" * 20, pieces)
            self.assertEqual(websocket.receive_past_pings(), "4é€😀" * 20)

    def test_a_body_that_is_no_payload_ends_the_session(self):
        for body in ("abc", "", "4x" + SEPARATOR, "2", "0{}", "b%%", "b=", b"4\xff", b"4\xed\xa0\x80"):
            with self.subTest(body=body):
                sid = self.open_polling()
                self.assertEqual(self.post(sid, body)[0], 400)
                self.assert_ended(sid)

    def test_a_frame_that_is_no_packet_ends_the_session(self):
        for frame in ("abc", "", "7", "0{}", "2"):
            with self.subTest(frame=frame):
                websocket = self.open_websocket()
                websocket.send(frame)
                self.assert_closed(websocket)

    def test_what_is_too_large(self):
        sid = self.open_polling()
        self.assertEqual(self.post(sid, "4" + "x" * 1_000_000)[0], 413)
        self.assertEqual(self.post(sid, "4" + "x" * 999_999), (200, "ok"))
        self.assertEqual(len(self.poll(sid)[1]), 1_000_000)
        self.leave(sid)
        websocket = self.open_websocket()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            websocket.send("4" + "x" * 1_000_000)
        self.assert_closed(websocket)

    def test_two_polls_at_once(self):
        sid = self.open_polling()
        first = self.begin_poll(sid)
        # The second is only the second once the server has the first.
        ends = time.monotonic() + DEADLINE_S
        while (status := self.poll(sid)[0]) != 400 and time.monotonic() < ends:
            pass
        self.assertEqual(status, 400)
        self.assertIn(first.getresponse().status, (200, 400))
        self.assert_ended(sid)

    def test_a_poll_that_is_given_up(self):
        sid = self.open_polling()
        self.begin_poll(sid).close()
        ends = time.monotonic() + DEADLINE_S
        while self.server.figures()['tandem_engine_sessions{transport="polling"}']:
            self.assertLess(time.monotonic(), ends)
        self.assert_ended(sid)

    def test_the_client_closes(self):
        sid = self.open_polling()
        self.assertEqual(self.post(sid, "1"), (200, "ok"))
        self.assert_ended(sid)
        websocket = self.open_websocket()
        websocket.send("1")
        self.assert_closed(websocket)

    def test_the_upgrade(self):
        sid = self.open_polling()
        websocket = self.connect(f"EIO=4&transport=websocket&sid={sid}")
        websocket.send("2probe")
        self.assertEqual(websocket.receive(), "3probe")
        self.assertEqual(self.poll(sid), (200, "6"))
        self.assertEqual(self.post(sid, "4by polling"), (200, "ok"))
        websocket.send("5")
        self.assertEqual(websocket.receive_past_pings(), "4by polling")
        websocket.send("4by websocket")
        self.assertEqual(websocket.receive_past_pings(), "4by websocket")
        self.assertEqual(self.poll(sid)[0], 400)
        another = self.connect(f"EIO=4&transport=websocket&sid={sid}")
        self.assertEqual(another.status, 101)
        self.assertIsNone(another.receive())
        websocket.send("4still there")
        self.assertEqual(websocket.receive_past_pings(), "4still there")

    def test_an_upgrade_that_fails(self):
        for frame in ("5", "4hello", "2", b"2probe"):
            with self.subTest(frame=frame):
                sid = self.open_polling()
                websocket = self.connect(f"EIO=4&transport=websocket&sid={sid}")
                websocket.send(frame)
                self.assertIsNone(websocket.receive())
                self.assertEqual(self.post(sid, "4still there"), (200, "ok"))
                self.assertEqual(self.poll(sid), (200, "4still there"))
                self.leave(sid)


class HeartbeatTest(ProtocolTest):
    OPTIONS = ("--ping-interval", "200", "--ping-timeout", "3000")

    def test_heartbeats(self):
        sid = self.open_polling()
        websocket = self.open_websocket()
        for _ in range(3):
            self.assertEqual(self.poll(sid), (200, "2"))
            self.assertEqual(self.post(sid, "3"), (200, "ok"))
            self.assertEqual(websocket.receive(), "2")
            websocket.send("3")
        self.leave(sid)

    def test_a_client_that_answers_no_ping(self):
        sid = self.open_polling()
        began = time.monotonic()
        websocket = self.open_websocket()
        self.assertEqual(websocket.receive(), "2")
        self.assertIsNone(websocket.receive())
        self.assertGreater(time.monotonic() - began, 3.1)
        # That one was there first, so it has gone as well.
        self.assert_ended(sid)


class SocketCase(ProtocolTest):
    PROTOCOL = "socket.io"

    def join(self, auth: str = "", nsp: str = "") -> tuple[WebSocket, dict]:
        """A client in a namespace and the object of its CONNECT's reply; the auth event is behind."""
        websocket = self.open_websocket()
        return websocket, self.join_on(websocket, auth, nsp)

    def join_on(self, websocket: WebSocket, auth: str = "", nsp: str = "") -> dict:
        websocket.send(f"40{nsp}{auth}")
        reply = websocket.receive_past_pings()
        self.assertTrue(reply.startswith(f"40{nsp}{{"), reply)
        self.assertEqual(websocket.receive_past_pings(), f'42{nsp}["auth",{auth or "{}"}]')
        return json.loads(reply[2 + len(nsp):])


class SocketTest(SocketCase):
    OPTIONS = (*NO_PINGS, "--connect-timeout", "2000")

    def test_namespaces(self):
        for nsp, spelled in (("", ""), ("/custom,", "/custom,"), ("/custom,", "/custom")):
            for auth in ("", '{"token":"123"}'):
                if spelled == "/custom" and auth:
                    continue
                with self.subTest(spelled=spelled, auth=auth):
                    websocket = self.open_websocket()
                    websocket.send(f"40{spelled}{auth}")
                    reply = websocket.receive_past_pings()
                    self.assertTrue(reply.startswith(f"40{nsp}{{"), reply)
                    self.assertEqual({*json.loads(reply[2 + len(nsp):])}, {"sid"})
                    self.assertEqual(websocket.receive_past_pings(),
                                     f'42{nsp}["auth",{auth or "{}"}]')

    def test_a_connect_that_is_refused(self):
        websocket = self.open_websocket()
        websocket.send("40/random")
        self.assertEqual(websocket.receive_past_pings(),
                         '44/random,{"message":"Invalid namespace"}')
        websocket.send('40{"token":"refuse"}')
        self.assertEqual(json.loads(websocket.receive_past_pings()[2:]),
                         {"message": "refused", "data": {"code": "AUTH_FAILED"}})
        self.join_on(websocket)  # and may try again

    def test_events_and_acknowledgements(self):
        websocket, _ = self.join()
        websocket.send('42["message",1,"2",{"3":[true]},12345678901234567890,1.0]')
        self.assertEqual(websocket.receive_past_pings(),
                         '42["message-back",1,"2",{"3":[true]},12345678901234567890,1.0]')
        websocket.send('42456["message-with-ack",1,"2",{"3":[false]}]')
        self.assertEqual(websocket.receive_past_pings(), '43456[1,"2",{"3":[false]}]')
        websocket.send('42["nobody listens"]')
        websocket.send('431[]')
        websocket.send('420["message-with-ack"]')
        self.assertEqual(websocket.receive_past_pings(), "430[]")

    def test_binary(self):
        websocket, _ = self.join()
        placeholders = '{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}'
        for head, answer in ((f'452-["message",{placeholders}]', f'452-["message-back",{placeholders}]'),
                             (f'452-789["message-with-ack",{placeholders}]', f'462-789[{placeholders}]')):
            websocket.send(head)
            websocket.send(b"\x01\x02\x03")
            websocket.send(b"")
            self.assertEqual([websocket.receive_past_pings() for _ in range(3)],
                             [answer, b"\x01\x02\x03", b""])

    def test_everything_by_polling(self):
        sid = self.open_polling()
        self.assertEqual(self.post(sid, "40"), (200, "ok"))
        connected, auth = self.poll(sid)[1].split(SEPARATOR)
        self.assertEqual({*json.loads(connected[2:])}, {"sid"})
        self.assertEqual(auth, '42["auth",{}]')
        body = SEPARATOR.join(['451-["message",{"_placeholder":true,"num":0}]', "bAQID",
                               '427["message-with-ack",1]'])
        self.assertEqual(self.post(sid, body), (200, "ok"))
        self.assertEqual(self.poll(sid)[1].split(SEPARATOR),
                         ['451-["message-back",{"_placeholder":true,"num":0}]', "bAQID", "437[1]"])
        self.assertEqual(self.post(sid, "41"), (200, "ok"))
        self.leave(sid)

    def test_several_namespaces_on_one_connection(self):
        websocket, _ = self.join()
        self.join_on(websocket, nsp="/custom,")
        websocket.send('42/custom,["message",1]')
        self.assertEqual(websocket.receive_past_pings(), '42/custom,["message-back",1]')
        websocket.send("41/custom")
        websocket.send('42/custom,["message",2]')  # to nobody
        websocket.send('42["message",3]')
        self.assertEqual(websocket.receive_past_pings(), '42["message-back",3]')

    def test_leaving_and_being_sent_away(self):
        websocket, _ = self.join()
        websocket.send("41")
        self.join_on(websocket)
        websocket.send('42["leave"]')
        self.assertEqual(websocket.receive_past_pings(), "41")
        self.join_on(websocket)

    def test_what_is_no_socket_io_closes_the_connection(self):
        for packet in ("4abc", "42{}", '42abc["message-with-ack",1]', "42", '42["disconnect"]', "44{}",
                       '42/random,["message"]', '451-["message",{"_placeholder":true,"num":1}]',
                       '4533-["message"]', '42["message",' + "[" * 70 + "]" * 70 + "]",
                       b"nobody waits for it"):
            with self.subTest(packet=packet):
                websocket, _ = self.join()
                websocket.send(packet)
                self.assert_closed(websocket)
        websocket, _ = self.join()
        websocket.send('451-["message",{"_placeholder":true,"num":0}]')
        websocket.send('42["message"]')
        self.assert_closed(websocket)
        websocket = self.open_websocket()
        websocket.send('42["message","before any CONNECT"]')
        self.assert_closed(websocket)

    def test_who_never_connects_is_closed(self):
        began = time.monotonic()
        websocket = self.open_websocket()
        self.assert_closed(websocket)
        self.assertGreater(time.monotonic() - began, 1.9)


class RecoveryCase(SocketCase):
    def setUp(self):
        self.other, _ = self.join_counted()

    def join_counted(self) -> tuple[WebSocket, dict]:
        websocket, reply = self.join()
        self.assertEqual({*reply}, {"sid", "pid"})
        self.assertEqual(websocket.receive_past_pings(), '42["offset","1"]')
        return websocket, reply

    def news(self, number: int) -> None:
        """To everybody; and it has reached `other`."""
        self.other.send(f'42["broadcast",{number}]')
        while self.other.receive_past_pings() != f'42["news",{number}]':
            pass

    def come_back(self, reply: dict, offset: int | str | None) -> tuple[WebSocket, dict]:
        websocket = self.open_websocket()
        claim = {"pid": reply["pid"]} | ({} if offset is None else {"offset": str(offset)})
        websocket.send("40" + json.dumps(claim))
        answer = websocket.receive_past_pings()
        return websocket, json.loads(answer[2:])


class RecoveryTest(RecoveryCase):
    OPTIONS = ("--recovery", "--grace", "15000", *NO_PINGS)

    def test_what_was_missed_comes_once(self):
        websocket, reply = self.join_counted()
        self.news(1)
        self.assertEqual([websocket.receive_past_pings() for _ in range(2)],
                         ['42["news",1]', '42["offset","2"]'])
        websocket.send('42["drop"]')
        self.assert_closed(websocket)
        for number in (2, 3):
            self.news(number)
        websocket, answer = self.come_back(reply, 2)
        self.assertEqual(answer, reply)
        self.assertEqual([websocket.receive_past_pings() for _ in range(3)],
                         ['42["news",2]', '42["news",3]', '42["offset","4"]'])
        websocket.send('42["message","on"]')
        self.assertEqual([websocket.receive_past_pings() for _ in range(2)],
                         ['42["message-back","on"]', '42["offset","5"]'])

    def test_a_connection_that_breaks_and_one_that_the_server_thinks_alive(self):
        for lose in (lambda each: each.socket.close(), lambda _: None):
            websocket, reply = self.join_counted()
            self.news(1)
            lose(websocket)
            websocket, answer = self.come_back(reply, 1)
            self.assertEqual(answer, reply)
            self.assertEqual(websocket.receive_past_pings(), '42["news",1]')
            websocket.send("41")

    def test_who_has_no_right_to_it_connects_afresh(self):
        websocket, reply = self.join_counted()
        websocket.close()
        forged = dict(reply, pid=reply["pid"][:-1] + ("A" if reply["pid"][-1] != "A" else "Q"))
        for claim, offset in ((forged, 1), (reply, 2), (reply, "x"), (reply, "-1"), (dict(pid="x"), 0)):
            with self.subTest(claim=claim, offset=offset):
                websocket, answer = self.come_back(claim, offset)
                self.assertNotEqual(answer["sid"], reply["sid"])
                self.assertEqual(websocket.receive_past_pings()[:8], '42["auth')
                websocket.send("41")
        websocket, answer = self.come_back(reply, None)
        self.assertEqual(answer, reply)
        self.assertEqual(websocket.receive_past_pings(), '42["auth",{}]')  # it showed no offset
        websocket.send("41")


class ForgettingTest(RecoveryCase):
    OPTIONS = ("--recovery", "--grace", "200", "--ping-interval", "300", "--ping-timeout", "10000")

    def test_who_comes_back_too_late_connects_afresh(self):
        websocket, reply = self.join_counted()
        websocket.send('42["drop"]')
        self.assert_closed(websocket)
        ends = time.monotonic() + DEADLINE_S
        while self.server.figures()['tandem_sockets{state="parked"}']:
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.02)
        _, answer = self.come_back(reply, 1)
        self.assertNotEqual(answer["sid"], reply["sid"])

    def test_an_answered_ping_lets_go_of_what_was_sent(self):
        websocket, reply = self.join_counted()
        self.news(1)
        websocket.send('420["message-with-ack"]')
        while websocket.receive_past_pings() != "430[]":
            pass
        self.assertEqual(websocket.receive(), "2")
        websocket.send("3")
        websocket.send('421["message-with-ack"]')
        while websocket.receive_past_pings() != "431[]":
            pass
        # It says that it has not the second, but the second was confirmed.
        _, answer = self.come_back(reply, 1)
        self.assertNotEqual(answer["sid"], reply["sid"])


if __name__ == "__main__":
    unittest.main()
