"""The room service as stock clients use it: npm's socket.io-client, several in one node process that a
test drives line by line (node/clients.cjs says how), and plain HTTP.

Environment: NODE_PATH names the folder with npm's packages (default: node/node_modules in the build
folder, where scripts/test puts them). Without node or without them the tests fail: a room service that
nobody's client has tried is not tested.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from harness import BUILD, ROOT, V4, Daemon, RelayTest, clean_environment, free_port

NODE_SCRIPTS = ROOT / "tests/e2e/node"
NODE_PACKAGES = Path(os.environ.get("NODE_PATH") or BUILD / "node/node_modules")

SECRET = "an-end-to-end-test-secret-of-enough-bytes"
ISSUER, AUDIENCE = "sudachi-rooms", "sudachi-multiplayer"

POLLING_FIRST = {}  # socket.io-client's own default: long-polling, then the upgrade
WEBSOCKET = {"transports": ["websocket"]}
POLLING = {"transports": ["polling"]}

# Nothing is limited but what a test limits itself.
ROOM_CONFIG = {
    "room.enabled": True,
    "room.bind": V4,
    "room.connections_per_address": 0,
    "room.rate_limit.max": 0,
    "room.address_rate_limit.max": 0,
    "room.message_rate_limit.max": 0,
    "room.signal_rate_limit.max": 0,
    "node.id": "e2e-node",
    "node.region": "europe",
    "node.public_host": V4,
}


def node_command(script: str) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise AssertionError("node is not installed: scripts/dependencies test")
    if not (NODE_PACKAGES / "socket.io-client").is_dir():
        raise AssertionError(
            f"npm's packages are not in {NODE_PACKAGES}: scripts/test puts them there, or\n"
            f"  mkdir -p {BUILD}/node && cp tests/e2e/node/package*.json {BUILD}/node && "
            f"npm --prefix {BUILD}/node ci --ignore-scripts")
    return [node, str(NODE_SCRIPTS / script)]


def node_environment(**extra: str) -> dict[str, str]:
    return clean_environment(NODE_PATH=str(NODE_PACKAGES), **extra)


class NoAnswer(Exception):
    pass


# ------------------------------------------------------------------------------- stock clients


class Node:
    """One node process; its clients share its thread, as tabs of a browser would."""

    def __init__(self, **environment: str):
        self.process = subprocess.Popen(
            node_command("clients.cjs"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=node_environment(**environment))
        self.changed = threading.Condition()
        self.answers: dict[int, dict] = {}
        self.clients: dict[str, Client] = {}
        self.faults: list[str] = []
        self._ids = itertools.count(1)
        self._names = itertools.count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            record = json.loads(line)
            with self.changed:
                if record.get("client") in self.clients:
                    self.clients[record["client"]].happened.append(record)
                elif record.get("id") is not None:
                    self.answers[record["id"]] = record
                else:
                    self.faults.append(line)
                self.changed.notify_all()
        with self.changed:
            self.faults.append("node ended")
            self.changed.notify_all()

    def order(self, what: str, **fields) -> None:
        self.process.stdin.write(json.dumps({"do": what} | fields) + "\n")
        self.process.stdin.flush()

    def begin(self, what: str, **fields) -> int:
        number = next(self._ids)
        self.order(what, id=number, **fields)
        return number

    def answer(self, number: int, timeout: float = 12.0):
        with self.changed:
            self.changed.wait_for(lambda: number in self.answers or self.faults, timeout)
            if number not in self.answers:
                raise NoAnswer(f"no answer in {timeout} s; {self.faults}")
            record = self.answers.pop(number)
        if "fault" in record:
            raise NoAnswer(record["fault"])
        return record["ack"]

    def sign(self, claims: dict, secret: str = SECRET, **options) -> str:
        """A token by npm's jsonwebtoken."""
        return self.answer(self.begin("sign", claims=claims, secret=secret, options=options))

    def open(self, url: str, token: str | None, transport: dict, **options) -> Client:
        name = f"client{next(self._names)}"
        client = Client(self, name)
        self.clients[name] = client
        # JSON has no undefined: a token that is left out.
        shown = {} if token is None else {"token": token}
        self.order("open", client=name, url=url, options=transport | options, **shown)
        return client

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self._reader.join(5)
        self.process.stdout.close()


class Client:
    """One socket. What happens to it is kept until a test takes it."""

    def __init__(self, node: Node, name: str):
        self.node, self.name = node, name
        self.happened: list[dict] = []
        self.greeting: dict = {}

    @property
    def id(self) -> str:
        return self.greeting["clientId"]

    def _take(self, wanted, what: str, timeout: float):
        deadline = time.monotonic() + timeout
        with self.node.changed:
            while True:
                for index, record in enumerate(self.happened):
                    if wanted(record):
                        return self.happened.pop(index)
                left = deadline - time.monotonic()
                if left <= 0 or self.node.faults:
                    seen = [record.get("event") or record for record in self.happened]
                    raise NoAnswer(f"{self.name}: no {what} in {timeout} s; there is {seen}"
                                   f"{self.node.faults}")
                self.node.changed.wait(left)

    def event(self, name: str, timeout: float = 5.0, **fields) -> dict:
        """The payload of the first event of that name, with these fields, that was not taken yet."""
        record = self._take(
            lambda each: each.get("event") == name
            and fields.items() <= {**each["args"][0]}.items(), f"{name} {fields or ''}", timeout)
        assert len(record["args"]) == 1, f"{name} has {len(record['args'])} arguments"
        return record["args"][0]

    def turn(self, what: str, timeout: float = 10.0) -> dict:
        """connect, disconnect, connect_error or upgrade."""
        return self._take(lambda each: each.get("on") == what, what, timeout)

    def seen(self, name: str) -> list[dict]:
        """What has come of an event and was not taken. Whoever asks for what must not come makes
        a round trip first: everything before its answer is here then."""
        with self.node.changed:
            return [each["args"][0] for each in self.happened if each.get("event") == name]

    def turns(self) -> list[str]:
        with self.node.changed:
            return [each["on"] for each in self.happened if "on" in each]

    def forget(self) -> None:
        with self.node.changed:
            self.happened.clear()

    def send(self, name: str, *args) -> None:
        self.node.order("send", client=self.name, event=name, args=args)

    def begin(self, name: str, *args, timeout: float = 10.0) -> int:
        return self.node.begin("ask", client=self.name, event=name, args=args,
                               timeout=int(timeout * 1000))

    def end(self, number: int) -> dict:
        return self.node.answer(number)

    def ask(self, name: str, *args) -> dict:
        """The acknowledgement, whatever it says."""
        return self.end(self.begin(name, *args))

    def get(self, name: str, *args) -> dict:
        """The acknowledgement of what has to succeed."""
        ack = self.ask(name, *args)
        assert ack.get("success") is True, f"{name} {args}: {ack}"
        return ack

    def refused(self, name: str, *args, code: str) -> dict:
        """The error, which came as the acknowledgement and as an event alike."""
        ack = self.ask(name, *args)
        assert ack.get("success") is False, f"{name} {args}: {ack}"
        error = ack["error"]
        assert error["code"] == code, f"{name} {args}: {error}, not {code}"
        assert error["message"], error
        event = self.event("error")
        assert event == error, f"{event} beside {error}"
        return error

    def round_trip(self) -> None:
        self.get("room:list", {"limit": 1})

    def connected(self, timeout: float = 10.0) -> Client:
        self.turn("connect", timeout)
        self.greeting = self.event("connected")
        return self

    def refusal(self, timeout: float = 10.0) -> dict:
        return self.turn("connect_error", timeout)

    def upgraded(self, timeout: float = 10.0) -> Client:
        if self.state()["transport"] != "websocket":
            self.turn("upgrade", timeout)
        return self

    def state(self) -> dict:
        return self.node.answer(self.node.begin("state", client=self.name))

    def lose(self) -> None:
        """The transport goes without a word; the client comes back by itself."""
        self.node.order("lose", client=self.name)

    def cut(self) -> None:
        """The same, without as much as a close frame; for one that has a WebSocket."""
        self.node.order("cut", client=self.name)

    def disconnect(self) -> None:
        self.node.order("disconnect", client=self.name)

    def connect(self) -> None:
        self.node.order("connect", client=self.name)

    def show(self, token: str) -> None:
        self.node.order("token", client=self.name, token=token)


def binary(data: bytes) -> dict:
    return {"$binary": base64.b64encode(data).decode()}


# ------------------------------------------------------------------------------------ the rooms


def room_daemon(config: dict | None = None, **options) -> Daemon:
    """With rooms, a port and a secret for them."""
    daemon = Daemon(ROOM_CONFIG | {"room.port": free_port()} | (config or {}), **options)
    daemon.room_port = daemon.config["room.port"]
    if "room.jwt_secret_file" not in daemon.config:
        secret_file = daemon.folder / "jwt-secret"
        secret_file.write_text(f"# test\nold {SECRET[::-1]}\nmain {SECRET}\n")
        secret_file.chmod(0o600)
        daemon.write_config({"room.jwt_secret_file": str(secret_file)})
    return daemon


def http_request(port: int, method: str, path: str, body: bytes | str | None = None,
                 headers: dict[str, str] | None = None, *, host: str = V4,
                 source: str | None = None, timeout: float = 10.0):
    """Status, headers and text of the reply."""
    connection = http.client.HTTPConnection(
        host, port, timeout=timeout, source_address=(source, 0) if source else None)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read().decode(errors="replace")
    finally:
        connection.close()


class RoomTest(RelayTest):
    """One daemon with rooms and one node process a class."""

    config: dict = {}

    @classmethod
    def make_daemon(cls) -> Daemon:
        return room_daemon(cls.config)

    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.close)
        cls.relay = cls.make_daemon()
        cls.addClassCleanup(cls.relay.discard)
        cls.relay.start()
        cls.addClassCleanup(cls._stop)

    def setUp(self):
        super().setUp()
        self.assertEqual(self.node.faults, [])

    @property
    def url(self) -> str:
        return f"http://{V4}:{self.relay.room_port}"

    def http(self, method: str, path: str, body: dict | bytes | str | None = None, *,
             token: str | None = None, headers: dict[str, str] | None = None, **options):
        """Status, headers and the reply's JSON (its text where it is none)."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        status, got, text = http_request(self.relay.room_port, method, path, body, headers,
                                         **options)
        try:
            return status, got, json.loads(text)
        except ValueError:
            return status, got, text

    # -- tokens

    def guest(self, name: str = "Ada", **fields) -> tuple[str, str]:
        """Token and client id of a guest login."""
        status, _, reply = self.http("POST", "/api/v1/auth/guest", {"username": name} | fields)
        self.assertEqual(status, 200, reply)
        return reply["token"], reply["clientId"]

    def sign(self, sub: str, name: str | None = None, *, expires_in: float = 3600, **claims) -> str:
        now = int(time.time())
        return self.node.sign({
            "sub": sub, "iss": ISSUER, "aud": AUDIENCE, "exp": now + int(expires_in),
            "name": name or sub} | claims, keyid="main")

    # -- clients

    def open(self, token: str | None, transport: dict = WEBSOCKET, **options) -> Client:
        client = self.node.open(options.pop("url", self.url), token, transport, **options)
        self.addCleanup(client.disconnect)
        return client

    def player(self, name: str = "Ada", transport: dict = WEBSOCKET, **options) -> Client:
        """A connected client; its id is fresh, so it meets nothing of an earlier test."""
        sub = f"{name.lower()}-{next(_players)}"
        return self.open(self.sign(sub, name), transport, **options).connected()

    # -- rooms

    def create(self, host: Client, **fields) -> dict:
        room = host.get("room:create", {"name": "A room", "gameId": "e2e"} | fields)["room"]
        host.event("room:created")
        return room

    def join(self, room: dict, *clients: Client, **fields) -> None:
        for client in clients:
            client.get("room:join", {"roomId": room["id"]} | fields)
            client.event("room:joined")

    def room_of(self, *clients: Client, **fields) -> dict:
        """A room whose host is the first, with all of them in it and their events taken."""
        host, *others = clients
        room = self.create(host, **fields)
        secret = {key: fields[key] for key in ("password",) if key in fields}
        self.join(room, *others, **secret)
        for index, client in enumerate(clients):
            for other in clients[max(index, 0) + 1:]:
                client.event("player:joined", roomId=room["id"])
        return room



_players = itertools.count(1)
