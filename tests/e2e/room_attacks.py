"""Clients that misbehave, one kind a run, for test_rooms_bad_clients.py. Standard library only, so that
nothing keeps them from being wrong.

usage: room_attacks.py NAME {"port":3000,"seconds":5,"tokens":["..."],"source":"127.0.0.66",...}

Prints one line of JSON: what was done, and what came of it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import resource
import select
import socket
import struct
import sys
import time

HOST = "127.0.0.1"
TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9
MIB = 1 << 20


class Gone(Exception):
    """The server ended the connection."""


def connect(order: dict, source: str | None = None) -> socket.socket:
    sock = socket.create_connection((HOST, order["port"]), timeout=10,
                                    source_address=(source or order["source"], 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def readable(socks: list[socket.socket], timeout: float) -> list[socket.socket]:
    """Not select(): there may be more than its 1,024."""
    poll, by_number = select.poll(), {sock.fileno(): sock for sock in socks}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(timeout * 1000)]


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True,
          claimed: int | None = None) -> bytes:
    """Masked with zeros, as a client may. `claimed` is the length that the header tells."""
    size = len(payload) if claimed is None else claimed
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    return head + bytes(4) + payload


class Client:
    """A Socket.IO client over a bare WebSocket."""

    def __init__(self, order: dict, token: str | None, source: str | None = None,
                 receive_buffer: int | None = None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((source or order["source"], 0))
        self.sock.settimeout(10)
        self.sock.connect((HOST, order["port"]))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: rooms\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.unread = b""
        while b"\r\n\r\n" not in self.unread:
            self._read()
        head, self.unread = self.unread.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise Gone(head.splitlines()[0].decode())
        self.client_id = None
        if token is not None:
            self.say("40" + json.dumps({"token": token}))
            self.client_id = self.event("connected")["clientId"]

    def _read(self) -> None:
        try:
            chunk = self.sock.recv(1 << 18)
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(str(error)) from error
        if not chunk:
            raise Gone("closed")
        self.unread += chunk

    def raw(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except (OSError, TimeoutError) as error:
            raise Gone(str(error)) from error

    def say(self, text: str | bytes, opcode: int = TEXT) -> None:
        self.raw(frame(text.encode() if isinstance(text, str) else text, opcode))

    def message(self) -> bytes:
        """The next text or binary message; pings are answered."""
        while True:
            while len(self.unread) < 2:
                self._read()
            opcode, size, at = self.unread[0] & 15, self.unread[1] & 127, 2
            at += {126: 2, 127: 8}.get(size, 0)
            while len(self.unread) < at:
                self._read()
            if at > 2:
                size = int.from_bytes(self.unread[2:at], "big")
            while len(self.unread) < at + size:
                self._read()
            payload, self.unread = self.unread[at:at + size], self.unread[at + size:]
            if opcode == CLOSE:
                raise Gone("close frame")
            if payload == b"2":
                self.say("3")
            elif opcode in (TEXT, BINARY):
                return payload

    def event(self, name: str):
        head = b'42["' + name.encode()
        while True:
            message = self.message()
            if message.startswith(head):
                return json.loads(message[2:])[1]
            if message.startswith(b"44"):
                raise Gone(message.decode())

    def ask(self, name: str, payload) -> dict:
        self.say("421" + json.dumps([name, payload]))
        while not (message := self.message()).startswith(b"431"):
            pass
        return json.loads(message[3:])[0]

    def ends(self, timeout: float) -> bool:
        """Whether the server ends it within that time, whatever it says before."""
        deadline = time.monotonic() + timeout
        try:
            while (left := deadline - time.monotonic()) > 0:
                self.sock.settimeout(left)
                self.message()
        except Gone:
            return True
        except TimeoutError:
            pass
        return False

    def read(self) -> None:
        """The messages that are there."""
        while self.unread or readable([self.sock], 0):
            self.message()

    def drain(self) -> int:
        """Reads off what is there, and no message is whole afterwards; how many bytes."""
        count = len(self.unread)
        self.unread = b""
        while readable([self.sock], 0):
            try:
                chunk = self.sock.recv(MIB)
            except OSError as error:
                raise Gone(str(error)) from error
            if not chunk:
                raise Gone("closed")
            count += len(chunk)
        return count

    def room(self, **fields) -> str:
        answer = self.ask("room:create", {"name": "An attack", "gameId": "attack"} | fields)
        return answer["room"]["id"]

    def close(self) -> None:
        self.sock.close()


def until(order: dict):
    """Counts up as long as the attack is to last, and on a slow machine to `rounds` all the same."""
    deadline = time.monotonic() + order["seconds"]
    for number in itertools.count():
        if time.monotonic() >= deadline and number >= order.get("rounds", 0):
            return
        yield number


def ended_by_server(sock: socket.socket, timeout: float) -> bool:
    """Whether it ends within that time, whatever comes before."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        if not readable([sock], left):
            return False
        try:
            if not sock.recv(MIB):
                return True
        except OSError:
            return True
    return False


def again(order: dict, attempt) -> dict:
    """`attempt` over and over, each time on a connection of its own that it is given; how often the
    server ended it."""
    ended = tries = 0
    for _ in until(order):
        client = Client(order, order["tokens"][0])
        tries += 1
        try:
            attempt(client)
            ended += client.ends(5)
        except Gone:
            ended += 1
        finally:
            client.close()
    return {"tries": tries, "ended": ended}


# ------------------------------------------------------------------------------------ attacks


def flood_of_events(order: dict) -> dict:
    """As many as it can write, acknowledgements wanted and never waited for."""
    client = Client(order, order["tokens"][0])
    room = client.room()
    batch = b"".join(frame(f"42{number}".encode() + json.dumps(
        ["room:message", {"roomId": room, "data": "flood"}] if number % 2 else
        ["room:list", {}]).encode()) for number in range(1, 101))
    sent, read = 0, 0
    try:
        for _ in until(order):
            client.raw(batch)
            sent += 100
            read += client.drain()
    except Gone:
        return {"sent": sent, "read": read, "ended": 1}
    return {"sent": sent, "read": read, "ended": 0}


def flood_of_pings(order: dict) -> dict:
    """WebSocket pings and Engine.IO packets that mean nothing, and nothing read."""
    client = Client(order, order["tokens"][0])
    batch = b"".join((frame(b"x" * 100, PING), frame(b"3"), frame(b"6"), frame(b"", TEXT))) * 100
    sent = 0
    try:
        for _ in until(order):
            client.raw(batch)
            sent += 400
            client.drain()
    except Gone:
        return {"sent": sent, "ended": 1}
    return {"sent": sent, "ended": 0}


def too_large_frames(order: dict) -> dict:
    return again(order, lambda client: client.raw(frame(
        b'42["room:list",{"text":"' + b"x" * order["max_request_size"] + b'"}]')))


def large_frames(order: dict) -> dict:
    """Just small enough, to a room where it is alone and reads them."""
    client = Client(order, order["tokens"][0])
    room = client.room()
    head = b'42["room:message",{"roomId":"' + room.encode() + b'","data":"'
    tail = b'"}]'
    size = order["max_request_size"] - len(head) - len(tail)
    whole = frame(head + b"x" * size + tail)
    sent = 0
    for _ in until(order):
        client.raw(whole)
        sent += 1
        while not client.message().startswith((b'42["room:message"', b'42["error"')):
            pass
    return {"sent": sent}


def broken_utf8(order: dict) -> dict:
    bad = itertools.cycle((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"))
    return again(order, lambda client: client.raw(frame(b'42["room:list",{"text":"' + next(bad)
                                                       + b'"}]')))


def fragments_without_end(order: dict) -> dict:
    """A message in empty fragments that never ends."""
    client = Client(order, order["tokens"][0])
    client.raw(frame(b"42", final=False))
    batch = frame(b"", 0, final=False) * 1000
    sent = 0
    try:
        for _ in until(order):
            client.raw(batch)
            sent += 1000
    except Gone:
        return {"sent": sent, "ended": 1}
    return {"sent": sent, "ended": 0}


def half_frames(order: dict) -> dict:
    """Each says that a message of the greatest length comes, sends half of it and waits."""
    size = order["max_request_size"]
    clients = [Client(order, None) for _ in range(order["sockets"])]
    for client in clients:
        client.raw(frame(b"4" * (size // 2), claimed=size))
    for _ in until(order):
        time.sleep(0.1)
    return {"held": len(clients)}


def deep_json(order: dict) -> dict:
    client = Client(order, order["tokens"][0])
    room = client.room()
    depth, sent = 100_000, 0
    deep = [b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth,
            b'"\\u0000' * depth]
    for number in until(order):
        try:
            client.say(b'42["room:message",{"roomId":"' + room.encode() + b'","data":'
                       + deep[number % len(deep)] + b"}]")
            sent += 1
            client.ask("room:list", {"limit": 1})
        except Gone:
            client.close()
            client = Client(order, order["tokens"][0])  # its seat in the room is kept
    return {"sent": sent}


def idle_sockets(order: dict) -> dict:
    """Connections that never say anything, from many addresses."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held, refused = [], 0
    for number in range(order["sockets"]):
        try:
            held.append(connect(order, f"127.0.1.{1 + number % order['addresses']}"))
        except OSError:
            refused += 1
    for _ in until(order):
        time.sleep(0.1)
    closed = sum(ended_by_server(sock, 0.001) for sock in held)
    return {"opened": len(held), "refused": refused, "closed": closed}


def never_reads(order: dict) -> dict:
    """In a room with an accomplice that talks a lot."""
    talker = Client(order, order["tokens"][0])
    deaf = Client(order, order["tokens"][1], receive_buffer=4096)
    room = talker.room()
    deaf.ask("room:join", {"roomId": room})
    text = json.dumps(["room:message", {"roomId": room, "data": "x" * 50_000}])
    sent, least = 0, 16 * MIB // len(text)  # more than the queue and the kernel's buffers hold
    while sent < least:
        talker.say("42" + text)
        sent += 1
        talker.read()
        time.sleep(0.01)
    # Behind what the kernel still holds for it comes the end.
    ended = ended_by_server(deaf.sock, 10)
    still = talker.ask("room:message", {"roomId": room, "data": "still here"})
    return {"sent": sent, "ended": int(ended), "talker": still["success"]}


def slow_requests(order: dict) -> dict:
    """Requests that come byte by byte and never end."""
    request = (b"GET /health HTTP/1.1\r\nHost: rooms\r\n" + b"X-More: 1\r\n" * 1000)
    socks = [connect(order) for _ in range(order["sockets"])]
    live, opened = set(socks), time.monotonic()
    for number in until(order):
        for sock in list(live):
            try:
                sock.send(request[number:number + 1])
            except OSError:
                live.discard(sock)
        for sock in readable(list(live), 0.2):
            if ended_by_server(sock, 0.001):
                live.discard(sock)
    return {"opened": len(socks), "closed": len(socks) - len(live),
            "seconds": time.monotonic() - opened}


def abandoned_polling(order: dict) -> dict:
    """Engine.IO sessions opened by the thousand and left alone, all from one address."""
    opened = refused = 0
    sock, unread = None, b""
    request = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: rooms\r\n\r\n"
    for _ in until(order):
        try:
            sock = sock or connect(order)
            sock.sendall(request)
            reply = b""
            while b"\r\n\r\n" not in reply:
                chunk = sock.recv(65536)
                if not chunk:
                    raise OSError
                reply += chunk
            head, _, body = reply.partition(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.lower().splitlines()
                          if line.startswith(b"content-length"))
            while len(body) < length:
                body += sock.recv(65536)
            if head.startswith(b"HTTP/1.1 200"):
                opened += 1
            else:
                refused += 1
            if b"connection: close" in head.lower():
                raise OSError
        except (OSError, StopIteration):
            if sock:
                sock.close()
            sock = None
    return {"opened": opened, "refused": refused}


def wrong_passwords(order: dict) -> dict:
    """Tries at another's room, by several clients that do not wait for what came of the last."""
    codes: dict[str, int] = {}
    clients = [Client(order, token) for token in order["tokens"]]
    for client in clients:
        client.raw(b"".join(frame(b"421" + json.dumps(
            ["room:join", {"roomId": order["room"], "password": f"try {number}"}]).encode())
            for number in range(order["tries"])))
    for client in clients:
        for _ in range(order["tries"]):
            while not (message := client.message()).startswith(b"431"):
                pass
            code = json.loads(message[3:])[0].get("error", {}).get("code", "JOINED")
            codes[code] = codes.get(code, 0) + 1
    return codes


def wrong_tokens(order: dict) -> dict:
    """Sockets that come in with tokens that are none, one after another."""
    refused = gone = 0
    for number in until(order):
        client = Client(order, None)
        try:
            client.say('40{"token":"' + "x" * 2000 + f'.{number}.z"' + "}")
            while not client.message().startswith(b"44"):
                pass
            refused += 1
        except (Gone, OSError):
            gone += 1
        finally:
            client.close()
    return {"refused": refused, "gone": gone}


def half_attachments(order: dict) -> dict:
    """Events that announce attachments which never come, and ones that nobody announced."""
    ended = tries = 0
    for number in until(order):
        client = Client(order, order["tokens"][0])
        tries += 1
        try:
            if number % 3 == 0:
                client.say('4510-["room:message",{"data":{"_placeholder":true,"num":0}}]')
                client.say(b"x" * (order["max_request_size"] // 2), BINARY)
                client.say('42["room:list",{}]')
            elif number % 3 == 1:
                client.say(b"nobody asked", BINARY)
            else:
                client.say('45999999999-["room:message",{}]')
            ended += client.ends(5)
        except Gone:
            ended += 1
        finally:
            client.close()
    return {"tries": tries, "ended": ended}


def rooms_and_lists(order: dict) -> dict:
    """Rooms made and left as fast as they go, which everybody's lists have to follow."""
    client = Client(order, order["tokens"][0])
    made = refused = 0
    for _ in until(order):
        answer = client.ask("room:create", {"name": "In and out", "gameId": os.urandom(8).hex(),
                                            "metadata": {"x": "y" * 3000}})
        if answer["success"]:
            made += 1
            client.ask("room:leave", {"roomId": answer["room"]["id"]})
        else:
            refused += 1
    return {"made": made, "refused": refused}


def main() -> None:
    os.nice(10)  # in the world, its work is another machine's
    order = json.loads(sys.argv[2])
    print(json.dumps(globals()[sys.argv[1]](order)), flush=True)


if __name__ == "__main__":
    main()
