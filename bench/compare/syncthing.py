"""The client's side of Syncthing's relay protocol, version 1
(docs.syncthing.net/specs/relay-v1.html).

A relay joins what asks for it by certificate: one device joins the relay over TLS and waits,
another asks to be connected to it, and both are invited to a session by a key each. What then
greets the relay with the key, on a connection without TLS, is one end of the pair. Messages are XDR
(RFC 4506)."""

import contextlib
import enum
import hashlib
import socket
import ssl
import struct
import subprocess

from pairing import Greeting
from processes import SubjectFailed, find_program

MAGIC = 0x9E79BC40
HEADER = struct.Struct(">III")  # magic, type, length of the body
APPLICATION = "bep-relay"
TIMEOUT_S = 10
ADDRESS_MAX = 32  # bytes, and of a key and an identity too
BODY_MAX = 1024


class Message(enum.IntEnum):
    ping = 0
    pong = 1
    join_relay_request = 2
    join_session_request = 3
    response = 4
    connect_request = 5
    session_invitation = 6
    relay_full = 7


class ProtocolError(Exception):
    pass


# ---- XDR ----

def opaque(data):
    """Variable-length opaque data: its length, itself, and zeros up to a multiple of four."""
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class Body:
    """Reads what a message holds, front to back."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def _take(self, size):
        taken = self._data[self._at:self._at + size]
        if len(taken) < size:
            raise ProtocolError("a message ends too early")
        self._at += size
        return taken

    def integer(self):
        return struct.unpack(">i", self._take(4))[0]

    def opaque(self, size_max):
        size = struct.unpack(">I", self._take(4))[0]
        if size > size_max:
            raise ProtocolError(f"{size} bytes where at most {size_max} may be")
        data = self._take(size)
        self._take(-size % 4)
        return data


# ---- messages ----

def encode(message, body=b""):
    return HEADER.pack(MAGIC, message, len(body)) + body


def join_session(key):
    return encode(Message.join_session_request, opaque(key))


def response(code, text):
    return encode(Message.response, struct.pack(">i", code) + opaque(text.encode()))


SUCCESS = response(0, "success")


def _read_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ProtocolError("the relay closed the connection")
        data += more
    return data


def read(connection):
    """The next message that is no ping, and its body."""
    while True:
        magic, kind, size = HEADER.unpack(_read_exactly(connection, HEADER.size))
        if magic != MAGIC or size > BODY_MAX:
            raise ProtocolError("not a message of the relay protocol")
        body = Body(_read_exactly(connection, size))
        if kind != Message.ping:
            return Message(kind), body
        connection.sendall(encode(Message.pong))


def expect_success(connection):
    kind, body = read(connection)
    if kind is not Message.response:
        raise ProtocolError(f"{kind.name} instead of a response")
    code, text = body.integer(), body.opaque(BODY_MAX)
    if code != 0:
        raise ProtocolError(f"response {code}: {text.decode(errors='replace')}")


def invited_key(connection):
    """Of an invitation, the key: the relay's address is known here, and who is whom does not
    matter."""
    kind, body = read(connection)
    if kind is not Message.session_invitation:
        raise ProtocolError(f"{kind.name} instead of an invitation")
    _, key = body.opaque(ADDRESS_MAX), body.opaque(ADDRESS_MAX)
    return key


# ---- devices ----

class Device:
    """A certificate, by whose hash a relay knows it."""

    def __init__(self, folder, name):
        self._certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        subprocess.run(
            [find_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec",
             "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
             "-subj", "/CN=syncthing", "-keyout", self._key, "-out", self._certificate],
            check=True, capture_output=True)
        self.identity = hashlib.sha256(
            ssl.PEM_cert_to_DER_cert(self._certificate.read_text())).digest()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The relay's certificate is its own, made at its start.
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.set_alpn_protocols([APPLICATION])
        self._context.load_cert_chain(self._certificate, self._key)

    def connect(self, port):
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        return self._context.wrap_socket(plain)


@contextlib.contextmanager
def invitations(port, folder, pairs):
    """A greeting for each of the pairs. The device that is asked for stays with the relay
    meanwhile: when it leaves, its sessions end."""
    with contextlib.ExitStack() as stack:
        try:
            waiting, asking = Device(folder, "waiting"), Device(folder, "asking")
            joined = stack.enter_context(waiting.connect(port))
            joined.sendall(encode(Message.join_relay_request))
            expect_success(joined)
            greetings = [_invite(port, joined, waiting, asking) for _ in range(pairs)]
        except (OSError, ProtocolError, subprocess.SubprocessError) as failure:
            raise SubjectFailed(f"its protocol: {failure}") from failure
        yield greetings


def _invite(port, joined, waiting, asking):
    with asking.connect(port) as connection:
        connection.sendall(encode(Message.connect_request, opaque(waiting.identity)))
        key_b = invited_key(connection)
    return Greeting(join_session(invited_key(joined)), join_session(key_b), SUCCESS, SUCCESS)
