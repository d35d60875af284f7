"""An independent client of the relay wire protocol, version 1.

Written from the protocol page alone, so that the tests compare the daemon with the page and not
with itself. Standard library only. Nothing here knows how a relay is started or configured.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import select
import socket
import struct
import time
from dataclasses import dataclass

SLOT_A, SLOT_B = 0, 1
ALLOW_TCP, ALLOW_UDP, NEEDS_PROVE = 1, 2, 4

BIND, CHALLENGE, BOUND, DATA, PING, PONG, CLOSE, ERROR = range(0x05, 0x0D)
WAITING, PAIRED = 0, 1

ERROR_NAMES = {
    1: "BAD_TOKEN", 2: "EXPIRED", 3: "SESSION_FULL", 4: "OVER_CAPACITY", 5: "DRAINING",
    6: "RATE_LIMITED", 7: "NOT_ALLOWED", 8: "KICKED", 9: "BLOCKED",
}
LEFT, PEER_GONE, IDLE, KICKED, DRAINING, OVER_QUOTA, REPLACED, PEER_NEVER_CAME = range(8)

BIND_MIN = 96
COOKIE_ZERO = bytes(16)
DATA_HEADER = 8
STUN_MAGIC = 0x2112A442


# ---------------------------------------------------------------------------------------- token


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Strict RFC 4648: no other character, no padding, unused bits zero."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("unused bits are not zero")
    return data


def mac16(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


@dataclass(frozen=True)
class Token:
    claims: bytes
    secret: bytes

    @property
    def text(self) -> str:
        return to_base64url(self.claims + self.secret)

    @property
    def key_id(self) -> int:
        return self.claims[1]

    @property
    def slot(self) -> int:
        return self.claims[2]

    @property
    def flags(self) -> int:
        return self.claims[3]

    @property
    def expires_at(self) -> int:
        return struct.unpack_from(">I", self.claims, 4)[0]

    @property
    def session_id(self) -> int:
        return struct.unpack_from(">Q", self.claims, 8)[0]

    @property
    def session(self) -> str:
        return f"{self.session_id:016x}"

    @property
    def rate_kbps(self) -> int:
        return struct.unpack_from(">I", self.claims, 16)[0]

    @property
    def lanes_max(self) -> int:
        return struct.unpack_from(">H", self.claims, 20)[0]

    @property
    def shard_key(self) -> int:
        return self.claims[15]


def mint(key: bytes, session_id: int, slot: int, *, key_id: int = 1,
         flags: int = ALLOW_TCP | ALLOW_UDP, expires_at: int | None = None, rate_kbps: int = 0,
         lanes_max: int = 0, version: int = 1, reserved: int = 0) -> Token:
    """A token as the page lays it out; version and reserved are there to mint wrong ones."""
    if expires_at is None:
        expires_at = int(time.time()) + 3600
    claims = struct.pack(">BBBBIQIHH", version, key_id, slot, flags, expires_at, session_id,
                         rate_kbps, lanes_max, reserved)
    return Token(claims, mac16(key, claims))


def parse_token(text: str) -> Token:
    data = from_base64url(text)
    if len(data) != 40:
        raise ValueError("a token is 40 bytes")
    return Token(data[:24], data[24:])


def verify(key: bytes, token: Token) -> bool:
    return hmac.compare_digest(token.secret, mac16(key, token.claims))


def fresh_session_id() -> int:
    return int.from_bytes(os.urandom(8), "big")


def bind_proof(token: Token, bind_head: bytes) -> bytes:
    """bind_head: BIND's bytes 0 to 51."""
    assert len(bind_head) == 52
    return mac16(token.secret, bind_head)


def stream_proof(token: Token, nonce: bytes, lane: int, takeover: bool) -> bytes:
    return mac16(token.secret, nonce + token.claims + bytes([lane, takeover]))


# ------------------------------------------------------------------------------------------ TCP


class RelayError(Exception):
    """The relay's ERR line."""

    def __init__(self, line: str):
        super().__init__(line)
        match = re.fullmatch(r"TANDEM/1 ERR ([A-Z_]+)(?: retry=(\d+))?(?: (.*))?", line)
        if match is None:
            raise ValueError(f"not an ERR line: {line!r}")
        self.code = match[1]
        self.retry = None if match[2] is None else int(match[2])
        self.text = match[3] or ""


class StreamClosed(Exception):
    """The relay closed before it said what it was asked for."""


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Stream:
    """One TCP connection to the relay: its lines first, the peer's bytes after PAIRED."""

    def __init__(self, relay: tuple[str, int], *, source: str | None = None,
                 timeout: float = 10.0, receive_buffer: int | None = None,
                 send_buffer: int | None = None):
        self.sock = socket.socket(family_of(relay[0]), socket.SOCK_STREAM)
        try:
            # Before connect: a receive buffer set later no longer bounds the window.
            if receive_buffer is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if send_buffer is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            if source is not None:
                self.sock.bind((source, 0))
            self.sock.settimeout(timeout)
            self.sock.connect(relay)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.sock.close()
            raise
        self._unread = b""

    # -- lines

    @staticmethod
    def join_line(token: Token | str, lane: int | None = None, takeover: bool = False) -> bytes:
        text = token if isinstance(token, str) else token.text
        return f"TANDEM/1 JOIN {text}{_words(lane, takeover)}\n".encode()

    def join(self, token: Token, lane: int | None = None, takeover: bool = False,
             early: bytes = b"") -> Stream:
        """Sends JOIN; early bytes ride in the same segment."""
        self.sock.sendall(self.join_line(token, lane, takeover) + early)
        return self

    def prove(self, token: Token, lane: int | None = None, takeover: bool = False,
              early: bytes = b"") -> Stream:
        """PROVE, NONCE, PROOF; the secret does not travel."""
        claims = to_base64url(token.claims)
        self.sock.sendall(f"TANDEM/1 PROVE {claims}{_words(lane, takeover)}\n".encode())
        nonce = self.read_nonce()
        proof = stream_proof(token, nonce, lane or 0, takeover)
        self.sock.sendall(f"TANDEM/1 PROOF {proof.hex()}\n".encode() + early)
        return self

    def read_nonce(self) -> bytes:
        line = self.read_line()
        if line.startswith("TANDEM/1 ERR "):
            raise RelayError(line)
        match = re.fullmatch(r"TANDEM/1 NONCE ([0-9a-f]{32})", line)
        if match is None:
            raise ValueError(f"not a NONCE line: {line!r}")
        return bytes.fromhex(match[1])

    def read_line(self) -> str:
        """The relay's next line without its LF. Bytes behind it stay for recv()."""
        while b"\n" not in self._unread:
            chunk = self.sock.recv(4096)
            if not chunk:
                raise StreamClosed(f"closed after {self._unread!r}")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode("ascii")

    def read_status(self) -> str:
        """WAIT or PAIRED; raises RelayError on ERR; skips other lines, as a client must."""
        while True:
            line = self.read_line()
            if line.startswith("TANDEM/1 ERR "):
                raise RelayError(line)
            if line in ("TANDEM/1 WAIT", "TANDEM/1 PAIRED"):
                return line.split()[1]

    def wait_waiting(self) -> Stream:
        status = self.read_status()
        if status != "WAIT":
            raise ValueError(f"expected WAIT, got {status}")
        return self

    def wait_paired(self) -> Stream:
        while self.read_status() != "PAIRED":
            pass
        return self

    def refusal(self) -> str:
        """The code of the ERR that must come; its line is followed by a close."""
        try:
            while True:
                status = self.read_status()
                if status == "PAIRED":
                    raise ValueError("paired where an ERR was due")
        except RelayError as error:
            self._expect_close()
            return error.code

    def _expect_close(self) -> None:
        try:
            rest = self._unread + self.sock.recv(1)
        except ConnectionResetError:
            raise StreamClosed("ERR was followed by a reset, not by a close") from None
        if rest:
            raise ValueError(f"bytes after ERR: {rest!r}")
        # The relay waits for this side's end, within bounds.
        self.sock.close()

    # -- the peer's bytes

    def sendall(self, data: bytes) -> None:
        self.sock.sendall(data)

    def recv(self, size: int) -> bytes:
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        return self.sock.recv(size)

    def take_unread(self) -> bytes:
        """What came behind PAIRED, for callers that read the socket themselves."""
        data, self._unread = self._unread, b""
        return data

    def read_exactly(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            chunk = self.recv(min(missing, 1 << 20))
            if not chunk:
                raise StreamClosed(f"end of stream, {missing} of {size} bytes missing")
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    def read_to_end(self) -> bytes:
        parts = []
        while chunk := self.recv(1 << 20):
            parts.append(chunk)
        return b"".join(parts)

    def finish(self) -> None:
        """Half-close: a FIN after the last byte."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def failed(self, timeout: float) -> bool:
        """Whether a reset arrives in time, seen without reading a byte (POLLERR or POLLHUP)."""
        poller = select.poll()
        poller.register(self.sock, 0)
        return any(event & (select.POLLERR | select.POLLHUP)
                   for _, event in poller.poll(timeout * 1000))

    def close(self) -> None:
        self.sock.close()


def _words(lane: int | None, takeover: bool) -> str:
    return ("" if lane is None else f" lane={lane}") + (" takeover=1" if takeover else "")


# ------------------------------------------------------------------------------------------ UDP


@dataclass(frozen=True)
class Challenge:
    shard_key: int
    features: int
    nonce: bytes
    cookie: bytes


@dataclass(frozen=True)
class Bound:
    shard_key: int
    state: int
    slot: int
    nonce: bytes
    channel: int
    keepalive_s: int
    max_payload: int
    family: int
    port: int
    address: bytes

    @property
    def host(self) -> str:
        if self.family == 4:
            assert self.address[:12] == bytes(10) + b"\xff\xff"
            return socket.inet_ntop(socket.AF_INET, self.address[12:])
        return socket.inet_ntop(socket.AF_INET6, self.address)


@dataclass(frozen=True)
class Data:
    shard_key: int
    channel: int
    payload: bytes


@dataclass(frozen=True)
class Pong:
    shard_key: int
    channel: int
    nonce: bytes
    rest: bytes

    @property
    def relay_clock_us(self) -> int | None:
        return struct.unpack(">Q", self.rest[:8])[0] if len(self.rest) >= 8 else None


@dataclass(frozen=True)
class Close:
    shard_key: int
    reason: int
    channel: int
    nonce: bytes


@dataclass(frozen=True)
class Error:
    shard_key: int
    code: int
    nonce: bytes
    retry_after_s: int

    @property
    def name(self) -> str:
        return ERROR_NAMES.get(self.code, f"code {self.code}")


def decode(datagram: bytes) -> Challenge | Bound | Data | Pong | Close | Error:
    """What the relay may send; raises ValueError on anything else."""
    kind, size = datagram[0] if datagram else None, len(datagram)
    if kind == CHALLENGE and size == 28:
        return Challenge(*struct.unpack(">xBH8s16s", datagram))
    if kind == BOUND and size == 40:
        return Bound(*struct.unpack(">xBBB8sIHHBxH16s", datagram))
    if kind == DATA and size >= DATA_HEADER:
        shard_key, channel = struct.unpack_from(">xBxxI", datagram)
        return Data(shard_key, channel, datagram[DATA_HEADER:])
    if kind == PONG and size >= 16:
        shard_key, channel, nonce = struct.unpack_from(">xBxxI8s", datagram)
        return Pong(shard_key, channel, nonce, datagram[16:])
    if kind == CLOSE and size == 16:
        return Close(*struct.unpack(">xBBxI8s", datagram))
    if kind == ERROR and size == 14:
        return Error(*struct.unpack(">xBBx8sH", datagram))
    raise ValueError(f"not a datagram of the relay: {size} bytes, {datagram[:16].hex()}")


def encode_bind(token: Token, nonce: bytes, cookie: bytes = COOKIE_ZERO, *, features: int = 0,
                size: int = BIND_MIN, shard_key: int | None = None,
                proof: bytes | None = None) -> bytes:
    key = token.shard_key if shard_key is None else shard_key
    head = struct.pack(">BBH8s24s16s", BIND, key, features, nonce, token.claims, cookie)
    if proof is None:
        proof = bytes(16) if cookie == COOKIE_ZERO else bind_proof(token, head)
    return (head + proof).ljust(size, b"\0")


def encode_data(shard_key: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BBxxI", DATA, shard_key, channel) + payload


def encode_ping(shard_key: int, channel: int, nonce: bytes, rest: bytes = b"") -> bytes:
    return struct.pack(">BBxxI8s", PING, shard_key, channel, nonce) + rest


def encode_close(shard_key: int, channel: int, nonce: bytes, reason: int = LEFT) -> bytes:
    return struct.pack(">BBBxI8s", CLOSE, shard_key, reason, channel, nonce)


class DatagramRefused(Exception):
    def __init__(self, error: Error):
        super().__init__(error.name)
        self.code = error.name
        self.error = error


class Datagrams:
    """One slot's UDP path: binds, keeps alive, roams. One socket a session, as the page asks."""

    def __init__(self, relay: tuple[str, int], token: Token, *, source: str | None = None,
                 receive_buffer: int = 1 << 21):
        self.relay, self.token, self.source = relay, token, source
        self._receive_buffer = receive_buffer
        self.nonce = os.urandom(8)
        self.bound: Bound | None = None
        self.events: list[Bound | Pong | Close | Error] = []
        self.foreign = 0  # datagrams that were not from the relay or not for this client
        self.last_bind = b""
        self.sock = self._open_socket()

    def _open_socket(self) -> socket.socket:
        sock = socket.socket(family_of(self.relay[0]), socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        any_host = "::" if sock.family == socket.AF_INET6 else "0.0.0.0"
        sock.bind((self.source or any_host, 0))
        return sock

    # -- plain sending and receiving

    def send_raw(self, datagram: bytes) -> None:
        self.sock.sendto(datagram, self.relay)

    def receive_raw(self, timeout: float) -> bytes | None:
        if not select.select([self.sock], [], [], max(timeout, 0))[0]:
            return None
        datagram, sender = self.sock.recvfrom(65535)
        if sender[:2] != self.relay[:2]:
            self.foreign += 1
            return None
        return datagram

    def receive(self, timeout: float):
        """The next message for this client; None when none came in time."""
        deadline = time.monotonic() + timeout
        while True:
            datagram = self.receive_raw(deadline - time.monotonic())
            if datagram is not None:
                message = decode(datagram)
                if self._is_ours(message):
                    if isinstance(message, Bound):
                        self.bound = message
                    return message
                self.foreign += 1
            if time.monotonic() >= deadline:
                return None

    def _is_ours(self, message) -> bool:
        if message.shard_key != self.token.shard_key:
            return False
        if isinstance(message, (Data, Pong)):
            known = {0} if isinstance(message, Pong) else set()
            return message.channel in known | ({self.bound.channel} if self.bound else set())
        if isinstance(message, Close) and self.bound and message.channel == self.bound.channel:
            return True
        return message.nonce == self.nonce

    # -- binding

    def bind(self, timeout: float = 10.0) -> Bound:
        """Both round trips, each repeated every second until it is answered."""
        deadline = time.monotonic() + timeout
        bind = encode_bind(self.token, self.nonce)
        while time.monotonic() < deadline:
            self.send_raw(bind)
            self.last_bind = bind
            repeat_at = min(time.monotonic() + 1.0, deadline)
            while (left := repeat_at - time.monotonic()) > 0:
                message = self.receive(left)
                if isinstance(message, Challenge):
                    bind = encode_bind(self.token, self.nonce, message.cookie)
                    self.send_raw(bind)
                    self.last_bind = bind
                    repeat_at = min(time.monotonic() + 1.0, deadline)
                elif isinstance(message, Bound):
                    return message
                elif isinstance(message, Error):
                    raise DatagramRefused(message)
                elif isinstance(message, (Pong, Close)):
                    self.events.append(message)
        raise TimeoutError("no BOUND")

    def challenge(self, timeout: float = 3.0) -> Challenge:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.send_raw(encode_bind(self.token, self.nonce))
            message = self.receive(1.0)
            if isinstance(message, Challenge):
                return message
        raise TimeoutError("no CHALLENGE")

    def wait_paired(self, timeout: float = 10.0) -> Bound:
        """While its state is 0 a client repeats BIND every second."""
        deadline = time.monotonic() + timeout
        if self.bound is None:
            self.bind(timeout)
        while self.bound.state != PAIRED:
            if time.monotonic() >= deadline:
                raise TimeoutError("not paired")
            message = self.receive(1.0)
            if message is None:
                self.bind(deadline - time.monotonic())
            elif isinstance(message, Error):
                raise DatagramRefused(message)
            elif isinstance(message, (Pong, Close)):
                self.events.append(message)
        return self.bound

    # -- traffic

    @property
    def channel(self) -> int:
        return self.bound.channel

    def send(self, payload: bytes) -> None:
        self.send_raw(encode_data(self.token.shard_key, self.channel, payload))

    def recv(self, timeout: float) -> bytes | None:
        """The payload of the next DATA; what else comes is kept in events."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.receive(deadline - time.monotonic())
            if isinstance(message, Data):
                return message.payload
            if message is not None:
                self.events.append(message)
            if time.monotonic() >= deadline:
                return None

    def ping(self, rest: bytes = b"", timeout: float = 2.0) -> Pong | None:
        nonce = os.urandom(8)
        self.send_raw(encode_ping(self.token.shard_key, self.channel, nonce, rest))
        message = self.wait_for(Pong, timeout)
        return message if message is not None and message.nonce == nonce else None

    def wait_for(self, kind: type, timeout: float):
        """The next message of that kind; older ones that were set aside count."""
        for index, message in enumerate(self.events):
            if isinstance(message, kind):
                return self.events.pop(index)
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if isinstance(message, kind):
                return message
            if message is not None and not isinstance(message, Data):
                self.events.append(message)
        return None

    def roam(self, source: str | None = None, timeout: float = 10.0) -> socket.socket:
        """Binds again from a new socket with a new nonce; gives the old socket back.

        At most one move a second, and the cookie must be newer than the binding's: each try
        begins with a fresh cookie.
        """
        old, self.source = self.sock, source or self.source
        self.sock, self.nonce = self._open_socket(), os.urandom(8)
        before, self.bound = self.bound, None
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.bind(1.5)
                break
            except (TimeoutError, DatagramRefused):
                if time.monotonic() >= deadline:
                    raise
        if self.bound.channel != before.channel:
            raise ValueError("the channel changed while roaming")
        return old

    def leave(self) -> None:
        self.send_raw(encode_close(self.token.shard_key, self.channel, self.nonce))

    def close(self) -> None:
        self.sock.close()
