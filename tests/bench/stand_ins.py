"""What tandem-bench can be pointed at beside a tandemd: proxies, a relay that pairs by a greeting,
and what is no relay at all. Each listens on a port of its own until its `with` block ends, and what
passes can be altered on its way."""

from __future__ import annotations

import contextlib
import http.server
import json
import secrets
import select
import socket
import threading

import tandem_client as tc
from harness import V4, free_port

CHUNK = 1 << 18


def close_all(sockets) -> None:
    for sock in sockets:
        # Wakes whoever waits in it; close() alone does not.
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


class Listening:
    """A TCP listener, a thread for each connection."""

    def __init__(self, port: int | None = None):
        self.port = free_port() if port is None else port
        self.place = f"{V4}:{self.port}"
        self.connections = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self):
        self._listener = socket.create_server((V4, self.port), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with self._lock:
            close_all([self._listener, *self._open])

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                number = self.connections
                self.connections += 1
                self.keep(client)
                threading.Thread(target=self._serve, args=(number, client), daemon=True).start()

    def _serve(self, number: int, client: socket.socket):
        with contextlib.suppress(OSError):
            self.serve(number, client)

    def keep(self, sock: socket.socket):
        """Closed at the end."""
        with self._lock:
            self._open.append(sock)

    def serve(self, number: int, client: socket.socket):
        raise NotImplementedError


def pump(source: socket.socket, sink: socket.socket, alter=None, count=None):
    """Until the end of the stream, which is passed on; a reset is too."""
    offset = 0
    try:
        while chunk := source.recv(CHUNK):
            passed = chunk if alter is None else alter(offset, chunk)
            offset += len(chunk)
            sink.sendall(passed)
            if count is not None:
                count(len(passed))
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        close_all([source, sink])


class TcpProxy(Listening):
    """Forwards to a port: a sink's, or that of a `relay`. `alter(number, offset, chunk)` gives what
    goes on of what a client sends; where it raises OSError both sides are closed."""

    def __init__(self, relay: int | None = None, alter=None):
        super().__init__()
        self.sink_port = relay or free_port()
        self.carried = 0
        self._alter = alter

    def serve(self, number, client):
        target = socket.create_connection((V4, self.sink_port), timeout=10)
        target.settimeout(None)
        self.keep(target)
        back = threading.Thread(target=pump, args=(target, client, None, self._count), daemon=True)
        back.start()
        alter = self._alter and (lambda offset, chunk: self._alter(number, offset, chunk))
        pump(client, target, alter, self._count)

    def _count(self, size: int):
        with self._lock:
            self.carried += size


class StalledProxy(Listening):
    """A proxy that stands still once it is told so."""

    def __init__(self):
        super().__init__()
        self.sink_port = free_port()
        self.carried = 0
        self.stalled = threading.Event()

    def serve(self, number, client):
        target = socket.create_connection((V4, self.sink_port), timeout=10)
        self.keep(target)
        while not self.stalled.is_set() and (chunk := client.recv(CHUNK)):
            target.sendall(chunk)
            self.carried += len(chunk)


class GreetingRelay(Listening):
    """As magic-wormhole-transit-relay: two that name one token, and each a side of its own, are
    joined after an "ok"."""

    def __init__(self):
        super().__init__()
        self.paired = 0
        self._waiting: dict[str, tuple[str, socket.socket]] = {}

    @staticmethod
    def greetings(pairs: int) -> str:
        """A line of --greetings for each pair."""
        lines = []
        for _ in range(pairs):
            token = secrets.token_hex(32)
            said = {slot: f"please relay {token} for side {secrets.token_hex(8)}\n".encode().hex()
                    for slot in "ab"}
            ok = b"ok\n".hex()
            lines.append(json.dumps(said | {"expect_a": ok, "expect_b": ok}))
        return "\n".join(lines) + "\n"

    def serve(self, number, client):
        line = b""
        while not line.endswith(b"\n"):
            if not (byte := client.recv(1)):
                return
            line += byte
        words = line.split()
        if len(words) != 6 or words[:2] != [b"please", b"relay"] or words[3:5] != [b"for", b"side"]:
            client.sendall(b"bad handshake\n")
            return client.close()
        token, side = words[2], words[5]
        with self._lock:
            first = self._waiting.pop(token, None)
            if first is None:
                self._waiting[token] = (side, client)
                return
            self.paired += 1
        other_side, other = first
        assert other_side != side
        for end in (client, other):
            end.sendall(b"ok\n")
        threading.Thread(target=pump, args=(other, client), daemon=True).start()
        pump(client, other)


class Silent(Listening):
    """Listens, over TCP and UDP, takes what comes and says nothing."""

    def __enter__(self):
        super().__enter__()
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind((V4, self.port))
        return self

    def __exit__(self, *arguments):
        self._datagrams.close()
        super().__exit__(*arguments)

    def serve(self, number, client):
        while client.recv(CHUNK):
            pass


class Closing(Listening):
    """Closes whatever connects."""

    def serve(self, number, client):
        client.close()


class HttpServer:
    """Answers every request alike."""

    def __init__(self, status: int = 404, body: str = "not here"):
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.place = f"{V4}:{self.port}"
        self._server = http.server.ThreadingHTTPServer((V4, self.port), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class UdpProxy:
    """Forwards each client's datagrams from a socket of its own to one port: a sink's, or that of
    a `relay`. `alter(datagram)` gives what goes on in place of one payload that a client sends."""

    def __init__(self, relay: int | None = None, alter=None):
        self.port = free_port()
        self.place = f"{V4}:{self.port}"
        self.sink_port = relay or free_port()
        self.payloads = 0
        self._to_relay = relay is not None
        self._alter = alter
        self._targets: dict[tuple[str, int], socket.socket] = {}
        self._clients: dict[socket.socket, tuple[str, int]] = {}
        self._done = threading.Event()

    def __enter__(self):
        self._socket = self.new_socket()
        self._socket.bind((V4, self.port))
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join(10)
        for sock in [self._socket, *self._clients]:
            sock.close()

    @staticmethod
    def new_socket() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        return sock

    def _forward(self):
        while not self._done.is_set():
            for sock in select.select([self._socket, *self._clients], [], [], 0.05)[0]:
                # A refusal of an earlier datagram is reported by the next call.
                with contextlib.suppress(ConnectionRefusedError):
                    if sock is self._socket:
                        self._from_client(*sock.recvfrom(65536))
                    else:
                        self._socket.sendto(sock.recv(65536), self._clients[sock])

    def _from_client(self, datagram: bytes, client: tuple[str, int]):
        target = self._targets.get(client)
        if target is None:
            target = self._targets[client] = self.new_socket()
            target.connect((V4, self.sink_port))
            self._clients[target] = client
        for one in self.passed(datagram):
            target.send(one)

    def is_payload(self, datagram: bytes) -> bool:
        if self._to_relay:
            return datagram[0] == tc.DATA
        return not datagram.startswith(b"tandem-bench ")

    def passed(self, datagram: bytes) -> list[bytes]:
        if not self.is_payload(datagram):
            return [datagram]
        self.payloads += 1
        return [datagram] if self._alter is None else self._alter(datagram)


class MirroringUdpProxy(UdpProxy):
    """Forwards a client to its own port number on the sink's address, and back: what comes from
    there goes to that port on the client's."""

    SINK = "127.0.0.2"

    def _forward(self):
        while not self._done.is_set():
            if not select.select([self._socket], [], [], 0.05)[0]:
                continue
            with contextlib.suppress(ConnectionRefusedError):
                datagram, (host, port) = self._socket.recvfrom(65536)
                self.payloads += self.is_payload(datagram)
                self._socket.sendto(datagram, (V4 if host == self.SINK else self.SINK, port))
