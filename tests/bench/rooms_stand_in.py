"""A room service in a few lines: Engine.IO v4 and Socket.IO over WebSocket, one thread a client, and
the events that tandem-bench sends. What it delivers can be altered, to see that this is noticed."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import uuid

from stand_ins import Listening

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.id = uuid.uuid4().hex
        self._buffer = b""
        self._sending = threading.Lock()

    def read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(end)
        return head

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self):
        if not (chunk := self.sock.recv(65536)):
            raise OSError("closed")
        self._buffer += chunk

    def frame(self) -> tuple[int, bytes]:
        first, second = self.read(2)
        assert second & 0x80, "a client's frame that is not masked"
        size = second & 0x7F
        if size == 126:
            [size] = struct.unpack(">H", self.read(2))
        mask = self.read(4)
        payload = self.read(size)
        return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def send(self, text: str, opcode: int = 1):
        payload = text.encode()
        size = (bytes([len(payload)]) if len(payload) < 126
                else b"\x7e" + struct.pack(">H", len(payload)))
        with self._sending:
            self.sock.sendall(bytes([0x80 | opcode]) + size + payload)

    def emit(self, event: str, argument):
        self.send("42" + json.dumps([event, argument]))


class RoomService(Listening):
    """`deliver(seq, message, members)` gives what is sent of a message: pairs of a client and what it
    gets. `refuse` has the code of an error by event. Where `deaf` it says nothing after CONNECT."""

    def __init__(self, deliver=None, refuse=None, status=None, ping=False):
        super().__init__()
        self.logins = 0
        self.pongs = 0
        self.tokens: list[str] = []
        self.events: dict[str, int] = {}
        self._deliver = deliver or (lambda seq, message, members:
                                    [(member, message) for member in members])
        self._refuse = refuse or {}
        self._status = status
        self._ping = ping
        self._rooms: dict[str, list[Client]] = {}
        self._seq: dict[str, int] = {}
        self._books = threading.RLock()

    def serve(self, number, sock):
        client = Client(sock)
        head = client.read_until(b"\r\n\r\n").decode()
        if head.startswith("POST /api/v1/auth/guest "):
            head = self._log_in(client, head)
        if self._status:
            sock.sendall(f"HTTP/1.1 {self._status} No\r\nContent-Length: 0\r\n\r\n".encode())
            return sock.close()
        assert head.startswith("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1"), head
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        client.send('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
        try:
            while True:
                self._take(client, *client.frame())
        finally:
            self._forget(client)

    def _log_in(self, client: Client, head: str) -> str:
        size = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
        assert "username" in json.loads(client.read(size))
        self.logins += 1
        body = json.dumps({"token": f"guest-{self.logins}"}).encode()
        client.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return client.read_until(b"\r\n\r\n").decode()

    def _take(self, client: Client, opcode: int, payload: bytes):
        text = payload.decode()
        if opcode == 10:
            assert text == "are you there"
            self.pongs += 1
        elif text == "3":
            self.pongs += 1
        elif text.startswith("40"):
            self._connect(client, json.loads(text[2:])["token"])
        elif text.startswith("42"):
            at = text.index("[")
            event, argument = json.loads(text[at:])
            self._on_event(client, event, argument, text[2:at])

    def _connect(self, client: Client, token: str):
        with self._books:
            self.tokens.append(token)
        if code := self._refuse.get("connect"):
            refusal = {"message": "no", "data": {"code": code}}
            return client.send("44" + json.dumps(refusal))
        client.send('40{"sid":"n"}')
        if self._ping:
            client.send("2")
            client.send("are you there", opcode=9)
        client.emit("connected", {"clientId": client.id})

    def _on_event(self, client: Client, event: str, argument: dict, ack: str):
        with self._books:
            self.events[event] = self.events.get(event, 0) + 1
            if code := self._refuse.get(event):
                client.emit("error", {"code": code, "message": "no"})
                return self._answer(client, ack, {"success": False, "error": {"code": code}})
            getattr(self, "on_" + event.partition(":")[2])(client, argument, ack)

    @staticmethod
    def _answer(client: Client, ack: str, answer: dict):
        if ack:
            client.send(f"43{ack}" + json.dumps([answer]))

    def on_create(self, client, argument, ack):
        room = uuid.uuid4().hex
        self._rooms[room] = [client]
        self._seq[room] = 0
        self._answer(client, ack, {"success": True, "room": {"id": room, **argument}})

    def on_join(self, client, argument, ack):
        members = self._rooms[argument["roomId"]]
        for member in members:
            member.emit("player:joined", {"roomId": argument["roomId"]})
        members.append(client)
        self._answer(client, ack, {"success": True})

    def on_leave(self, client, argument, ack):
        self._rooms[argument["roomId"]].remove(client)
        self._answer(client, ack, {"success": True})

    def on_message(self, client, argument, ack):
        assert client in self._rooms[argument["roomId"]]
        self._seq[argument["roomId"]] += 1
        seq = self._seq[argument["roomId"]]
        message = {"roomId": argument["roomId"], "from": client.id, "seq": seq,
                   "data": argument["data"]}
        for member, what in self._deliver(seq, message, self._rooms[argument["roomId"]]):
            member.emit("room:message", what)

    def _forget(self, client: Client):
        with self._books:
            for members in self._rooms.values():
                if client in members:
                    members.remove(client)
