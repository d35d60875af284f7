"""Starts a daemon of the build under test, watches it from outside, and stops it by its pid.

Environment: TANDEM_BUILD names the build folder (default: build/ of this checkout),
TANDEM_E2E_SCALE is small, quick or full (default: quick; small is quick with fewer modes of the
engine, for sanitizers), TANDEM_E2E_KEEP=1 keeps the state folders.
Only loopback is used, or a network namespace that the test itself made.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import traceback
import unittest
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import tandem_client as tc

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TANDEM_BUILD") or ROOT / "build").resolve()
SCALE = os.environ.get("TANDEM_E2E_SCALE") or "quick"
if SCALE not in ("small", "quick", "full"):
    raise SystemExit(f"TANDEM_E2E_SCALE is small, quick or full, not {SCALE}")
FULL = SCALE == "full"

MIB = 1 << 20
V4, V6 = "127.0.0.1", "::1"
# Misbehaving clients come from here, so that a limit on them is not a limit on the bystander.
STRANGER = "127.0.0.66"

KEY = bytes(range(32))
OTHER_KEY = bytes(range(100, 132))
UNLISTED_KEY = bytes(range(200, 232))

# ------------------------------------------------------------- names on the daemon's outer side
# The one place that knows the metrics' names: tests use the left column. A line stands for the sum
# over the series of its metrics that carry one of its labels.

METRICS = {
    "sessions": ("tandem_sessions",),
    "streams": ("tandem_streams",),
    "stream bytes": ("tandem_stream_bytes_total",),
    "sent": ("tandem_stream_sent_bytes_total",),
    "sent copied": ("tandem_stream_sent_bytes_total", "copied"),
    "sent by splice": ("tandem_stream_sent_bytes_total", "splice"),
    "zero-copy sends": ("tandem_zero_copy_sends_total",),
    "received": ("tandem_datagrams_received_total",),
    "in batches": ("tandem_datagram_batch_size_sum",),
    "forwarded": ("tandem_datagrams_forwarded_total",),
    "replied": ("tandem_datagrams_replied_total",),
    "dropped": ("tandem_datagrams_dropped_total",),
    # Had its verdict and did not leave all the same: the link or the socket refused it.
    "unsent": ("tandem_datagrams_unsent_total",),
    "too big for the link": ("tandem_datagrams_unsent_total", "too_big"),
    "joins": ("tandem_joins_total",),
    "health checks": ("tandem_joins_total", "health_check"),
    "binds": ("tandem_binds_total",),
    "accept failures": ("tandem_accept_failures_total",),
    "offences": ("tandem_offences_total",),
    "auto blocks": ("tandem_auto_blocks_total",),
    "rate pauses": ("tandem_rate_pauses_total",),
}
METRICS |= {f"join {outcome.upper()}": ("tandem_joins_total", outcome) for outcome in (
    "paired", "waiting", "bad_request", "bad_version", "bad_token", "expired", "session_full",
    "timeout", "rate_limited", "blocked", "over_capacity", "draining", "not_allowed", "kicked")}
METRICS |= {f"drop {name}": ("tandem_datagrams_dropped_total", *reasons) for name, reasons in {
    "empty": ["empty"],
    "unknown type": ["unknown_type"],
    "not for a relay": ["unexpected_type"],
    "malformed": ["malformed", "truncated"],
    "too large": ["too_large"],
    "stun": ["stun_malformed", "stun_method"],
    "no channel": ["no_channel"],
    "foreign source": ["wrong_source"],
    "wrong shard key": ["wrong_shard_key", "malformed"],
    "unpaired": ["not_paired"],
    "close": ["close_unproven"],
    "budget": ["unvalidated_source_budget", "unvalidated_shard_budget"],
    "over rate": ["over_packet_rate"],
    "over bandwidth": ["over_session_bandwidth", "over_global_bandwidth"],
}.items()}

# Where the page leaves more than one code open.
READINGS = {
    "not base64url of a token's length": {"BAD_TOKEN", "BAD_REQUEST"},
    "lane of absurd length": {"BAD_REQUEST", "NOT_ALLOWED"},
    "untrusted load balancer": {"BAD_REQUEST", "NOT_ALLOWED"},
    "malformed PROOF": {"BAD_REQUEST", "BAD_TOKEN"},
}

BASE_CONFIG = {
    "engine.shards": 2,
    "listen.address": [V4, V6],
    "bandwidth.session_mbps": 0,
    "bandwidth.global_mbps": 0,
    "security.packets_per_second": 0,
    "security.blacklist_threshold": 0,
    "security.connections_per_address": 0,
    "security.half_open_per_address": 0,
    "security.new_connections_per_minute": 0,
    "security.exempt": [],
    "room.enabled": False,
    "storage.driver": "none",
    "monitoring.bind": V4,
    "log.format": "json",
}

SANITIZER_REPORT = re.compile(
    r"ERROR: (?:Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:"
    r"|(?i:check) failed|Assertion .* failed|terminate called")
# UBSan asks a pipe whether an object can be read. A daemon without a descriptor left has none for
# it, and whatever has a vptr is reported.
UNREADABLE_VPTR = re.compile(
    r"^.*runtime error: .*\n.*note: object has invalid vptr\n *<memory cannot be printed>\n", re.M)


def scaled(quick, full):
    return full if FULL else quick


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


raise_descriptor_limit()


# --------------------------------------------------------------------------------------- ports


_claims: list[socket.socket] = []


def free_port() -> int:
    """A port free for TCP and UDP on both loopback addresses, and this process's own until it ends:
    tests run side by side. Below the range from which the kernel serves clients."""
    for port in random.sample(range(12_000, 32_000), 200):
        with contextlib.ExitStack() as held:
            try:
                claim = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                claim.bind(f"\0tandem-e2e-port-{port}")
                for host, kind in itertools.product((V4, V6), (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
                    held.enter_context(socket.socket(tc.family_of(host), kind)).bind((host, port))
            except OSError:
                continue
            _claims.append(claim.dup())
            return port
    raise RuntimeError("no free port")


# --------------------------------------------------------------------------------------- waiting


def eventually(condition, timeout: float = 5.0, every: float = 0.02):
    """Polls until the condition gives something true; gives the last value back."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        select.select([], [], [], every)


def in_threads(*functions, timeout: float) -> list:
    """Runs all at once and gives their results; the first exception is raised here."""
    results: list = [None] * len(functions)
    errors: list = []

    def call(index: int, function) -> None:
        try:
            results[index] = function()
        except BaseException as error:  # reported by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=call, args=(index, function), daemon=True)
               for index, function in enumerate(functions)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout
    for thread in threads:
        while thread.is_alive() and not errors and time.monotonic() < deadline:
            thread.join(0.05)
    if errors:
        raise errors[0]
    if any(thread.is_alive() for thread in threads):
        raise TimeoutError(f"not done after {timeout} s")
    return results


# --------------------------------------------------------------------------------------- daemon


def to_toml(config: dict) -> str:
    sections: dict[str, list[str]] = {}
    for key, value in config.items():
        section, _, name = key.rpartition(".")
        sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
    return "\n".join(f"[{section}]\n" + "\n".join(lines) + "\n"
                     for section, lines in sections.items())


def clean_environment(**extra: str) -> dict[str, str]:
    """Ours without the variables that the daemon reads as configuration."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("TANDEM_", "LOG_"))}
    # A small quarantine: memory that is asserted on is then the daemon's own.
    kept["ASAN_OPTIONS"] = "quarantine_size_mb=4:" + kept.get("ASAN_OPTIONS", "")
    return kept | extra


class DaemonFailed(Exception):
    pass


class Daemon:
    """One tandemd with its own folder, ports and keys."""

    def __init__(self, config: dict | None = None, *, keys: dict[int, bytes] | None = None,
                 descriptors: int | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-e2e-"))
        self.port = free_port()
        self.monitoring_port = free_port()
        self.descriptors = descriptors
        self.process: subprocess.Popen | None = None
        self.config_file = self.folder / "tandem.toml"
        self.key_file = self.folder / "keys"
        self.log_file = self.folder / "log"
        self.admin_socket = self.folder / "admin.sock"
        self.write_keys(keys or {1: KEY, 2: OTHER_KEY})
        self.config = BASE_CONFIG | {
            "listen.port": self.port,
            "security.key_file": str(self.key_file),
            "monitoring.port": self.monitoring_port,
            "admin.socket": str(self.admin_socket),
            "admin.token_file": str(self.folder / "operator-token"),
        } | (config or {})
        self.write_config({})

    # -- files

    def write_keys(self, keys: dict[int, bytes]) -> None:
        self.key_file.write_text("# test keys\n" + "".join(
            f"{key_id} {key.hex()}\n" for key_id, key in keys.items()))
        self.key_file.chmod(0o600)

    def write_config(self, changes: dict) -> None:
        self.config |= changes
        self.config_file.write_text(to_toml(self.config))

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # -- life

    def spawn(self, *arguments: str) -> None:
        binary = BUILD / "tandemd"
        if not binary.exists():
            raise DaemonFailed(f"{binary} does not exist: set TANDEM_BUILD to a build folder")
        state = self.folder / "state"
        state.mkdir(exist_ok=True)

        def limit() -> None:
            if self.descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [str(binary), "--config", str(self.config_file), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=clean_environment(STATE_DIRECTORY=str(state)), preexec_fn=limit)

    def start(self, *arguments: str) -> Daemon:
        self.spawn(*arguments)
        if not eventually(lambda: self.ready() or not self.running(), timeout=30):
            raise DaemonFailed(f"not ready after 30 s\n{self.log()[-4000:]}")
        if not self.running():
            raise DaemonFailed(f"ended with {self.process.returncode}\n{self.log()[-4000:]}")
        return self

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float) -> int:
        return self.process.wait(timeout)

    def stop(self) -> int | None:
        """A second SIGTERM ends at once what the first only drains."""
        if self.process is None:
            return None
        if self.running():
            self.signal(signal.SIGTERM)
            eventually(lambda: not self.running() or self.ready_status() != 200, timeout=5)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(0.5)
            if self.running():
                self.signal(signal.SIGTERM)
        try:
            return self.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait(10)
            raise DaemonFailed(f"did not end in 20 s\n{self.log()[-4000:]}") from None

    def discard(self) -> None:
        if self.running():
            self.process.kill()
            self.wait(10)
        if not os.environ.get("TANDEM_E2E_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def complaint(self, code: int | None) -> str | None:
        """What is wrong with how it ended, None where nothing is."""
        log = self.log() if self.descriptors is None else UNREADABLE_VPTR.sub("", self.log())
        if SANITIZER_REPORT.search(log):
            return "a sanitizer or a check reported"
        if code not in (0, None):
            return f"exit code {code}"
        return None

    # -- seen from outside

    def address(self, host: str = V4) -> tuple[str, int]:
        return host, self.port

    def http(self, path: str) -> tuple[int, str]:
        status, _, body = self.request("GET", path)
        return status, body

    def request(self, method: str, path: str, body: str | None = None,
                headers: dict[str, str] | None = None) -> tuple[int, Message, str]:
        """Status, headers and body of the reply on the monitoring port."""
        request = urllib.request.Request(
            f"http://{V4}:{self.monitoring_port}{path}", method=method, headers=headers or {},
            data=None if body is None else body.encode())
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return reply.status, reply.headers, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode(errors="replace")

    def operator_token(self) -> str:
        return (self.folder / "operator-token").read_text().strip()

    def ready_status(self) -> int | None:
        try:
            return self.http("/ready")[0]
        except OSError:
            return None

    def ready(self) -> bool:
        return self.ready_status() == 200

    def metrics(self) -> Metrics:
        return Metrics(self.http("/metrics")[1])

    def metric(self, name: str) -> float:
        return self.metrics().total(name)

    def keeps_a_history_of_memory(self) -> bool:
        """Built with ThreadSanitizer, whose own memory grows with whatever the daemon does."""
        return b"__tsan_init" in (BUILD / "tandemd").read_bytes()

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) * 1024

    def descriptors_open(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def socket_drops(self) -> int:
        """Datagrams that the kernel dropped at the daemon's UDP sockets."""
        return socket_drops(self.port)

    def ctl(self, *arguments: str, expect: int | None = 0) -> str:
        done = subprocess.run(
            [str(BUILD / "tandemctl"), "--socket", str(self.admin_socket), *arguments],
            capture_output=True, text=True, timeout=20, env=clean_environment())
        if expect is not None and done.returncode != expect:
            raise DaemonFailed(f"tandemctl {' '.join(arguments)} gave {done.returncode}: "
                               f"{done.stdout}{done.stderr}")
        return done.stdout

    def ctl_json(self, *arguments: str):
        return json.loads(self.ctl(*arguments, "--json"))


def socket_drops(port: int) -> int:
    total = 0
    for table in ("/proc/self/net/udp", "/proc/self/net/udp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                total += int(fields[-1])
    return total


class Metrics:
    """A page in Prometheus' text format."""

    SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, page: str):
        self.samples: dict[tuple[str, frozenset], float] = {}
        for line in page.splitlines():
            if match := self.SAMPLE.match(line):
                labels = frozenset(self.LABEL.findall(match[2] or ""))
                self.samples[match[1], labels] = float(match[3])

    def total(self, name: str) -> float:
        metric, *wanted = METRICS[name]
        return sum(value for (found, labels), value in self.samples.items()
                   if found == metric and (not wanted or {text for _, text in labels} & {*wanted}))

    def changes_since(self, before: Metrics) -> str:
        lines = []
        for (name, labels), value in sorted(self.samples.items(), key=str):
            delta = value - before.samples.get((name, labels), 0)
            if delta and name.startswith("tandem_"):
                text = ",".join(f"{key}={label}" for key, label in sorted(labels))
                lines.append(f"  {name}{{{text}}} {delta:+g}")
        return "\n".join(lines) or "  nothing"


# --------------------------------------------------------------------------------------- content


class Pattern:
    """Bytes of any length that a seed decides, made without copying: windows of one block, each
    at another offset, so that a lost, doubled or moved chunk changes the hash."""

    CHUNK = 256 * 1024

    def __init__(self, seed: int):
        block = random.Random(seed).randbytes(MIB)
        self._block = memoryview(block + block[:self.CHUNK])

    def chunks(self, size: int):
        index = 0
        while size > 0:
            offset = index * 104_729 % MIB
            chunk = self._block[offset:offset + min(self.CHUNK, size)]
            yield chunk
            size -= len(chunk)
            index += 1

    def bytes(self, size: int) -> bytes:
        return b"".join(self.chunks(size))

    def digest(self, size: int) -> str:
        total = hashlib.sha256()
        for chunk in self.chunks(size):
            total.update(chunk)
        return total.hexdigest()


def send_pattern(stream: tc.Stream, seed: int, size: int, finish: bool = True) -> str:
    """Sends, hashes what it sends, half-closes."""
    total = hashlib.sha256()
    for chunk in Pattern(seed).chunks(size):
        stream.sendall(chunk)
        total.update(chunk)
    if finish:
        stream.finish()
    return total.hexdigest()


def receive_hash(stream: tc.Stream, size: int | None = None) -> tuple[int, str]:
    """Reads to the end of the stream, or exactly size bytes: how many came, and their hash."""
    early = stream.take_unread()
    total, count = hashlib.sha256(early), len(early)
    buffer = memoryview(bytearray(MIB))
    while size is None or count < size:
        room = MIB if size is None else min(MIB, size - count)
        got = stream.sock.recv_into(buffer[:room])
        if not got:
            break
        total.update(buffer[:got])
        count += got
    return count, total.hexdigest()


# ------------------------------------------------------------------------------------- test case


class RelayTest(unittest.TestCase):
    """One daemon a class; what a test opens is closed behind it."""

    config: dict = {}
    keys: dict[int, bytes] | None = None

    @classmethod
    def setUpClass(cls):
        cls.relay = Daemon(cls.config, keys=cls.keys)
        cls.addClassCleanup(cls.relay.discard)
        cls.relay.start()
        cls.addClassCleanup(cls._stop)

    @classmethod
    def _stop(cls):
        complaint = cls.relay.complaint(cls.relay.stop())
        if complaint:
            raise AssertionError(f"{complaint}\n{cls.relay.log()[-8000:]}")

    def setUp(self):
        self._log_from = len(self.relay.log())

    def doCleanups(self):
        # Not a cleanup itself: within one, unittest's outcome is that of the cleanup alone.
        result = self._outcome and self._outcome.result
        if result and any(getattr(test, "test_case", test) is self
                          for test, _ in result.failures + result.errors):
            tail = self.relay.log()[self._log_from:][-8000:]
            print(f"\n-- {self.id()}: the daemon's log\n{tail}", flush=True)
        return super().doCleanups()

    # -- clients

    def tokens(self, session_id: int | None = None, key: bytes = KEY, **fields):
        session_id = tc.fresh_session_id() if session_id is None else session_id
        return tuple(tc.mint(key, session_id, slot, **fields) for slot in (tc.SLOT_A, tc.SLOT_B))

    def stream(self, host: str = V4, **options) -> tc.Stream:
        stream = tc.Stream(self.relay.address(host), **options)
        self.addCleanup(stream.close)
        return stream

    def stream_pair(self, tokens=None, *, hosts=(V4, V4), lane: int | None = None,
                    prove: bool = False, **options) -> tuple[tc.Stream, tc.Stream]:
        a_token, b_token = tokens or self.tokens()
        a, b = self.stream(hosts[0], **options), self.stream(hosts[1], **options)
        how = tc.Stream.prove if prove else tc.Stream.join
        how(a, a_token, lane).wait_waiting()
        how(b, b_token, lane).wait_paired()
        a.wait_paired()
        return a, b

    def datagrams(self, token: tc.Token, host: str = V4, **options) -> tc.Datagrams:
        client = tc.Datagrams(self.relay.address(host), token, **options)
        self.addCleanup(client.close)
        return client

    def datagram_pair(self, tokens=None, *, hosts=(V4, V4), **options):
        a_token, b_token = tokens or self.tokens()
        a = self.datagrams(a_token, hosts[0], **options)
        b = self.datagrams(b_token, hosts[1], **options)
        a.bind()
        b.bind()
        b.wait_paired()
        a.wait_paired()
        return a, b

    def stranger_socket(self, source: str = STRANGER) -> socket.socket:
        sock = socket.socket(tc.family_of(source), socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        sock.bind((source, 0))
        self.addCleanup(sock.close)
        return sock

    # -- assertions

    def assertRefused(self, stream: tc.Stream, expected: str | set[str]):
        expected = {expected} if isinstance(expected, str) else expected
        self.assertIn(stream.refusal(), expected)

    def assertJoined(self, a: tc.Stream, b: tc.Stream, note: bytes = b"over here"):
        """Bytes pass both ways."""
        for source, sink in ((a, b), (b, a)):
            source.sendall(note)
            self.assertEqual(sink.read_exactly(len(note)), note)

    def assertExchange(self, a: tc.Datagrams, b: tc.Datagrams, note: bytes = b"over here"):
        for source, sink in ((a, b), (b, a)):
            source.send(note)
            self.assertEqual(sink.recv(3.0), note)

    def assertSilent(self, sock: socket.socket, seconds: float = 0.3):
        """Nothing comes. What must be silent was processed once its counter moved, so the wait
        is short and only covers the way back."""
        readable = select.select([sock], [], [], seconds)[0]
        if readable:
            self.fail(f"an answer where silence was due: {sock.recv(2048)[:64].hex()}")

    @contextlib.contextmanager
    def counted(self, name: str, at_least: float = 1, exactly: float | None = None):
        """The metric moves by so much while the block runs."""
        before = self.relay.metrics()
        yield
        want = at_least if exactly is None else exactly

        def moved() -> float:
            return self.relay.metrics().total(name) - before.total(name)

        eventually(lambda: moved() >= want)
        delta = moved()
        if delta < want or (exactly is not None and delta != exactly):
            self.fail(f"{name} {METRICS[name]} moved by {delta:g}, not {want:g}; these moved:\n"
                      f"{self.relay.metrics().changes_since(before)}")

    def assertLogged(self, text: str):
        """The daemon's log says so soon, since this test began."""
        if not eventually(lambda: text in self.relay.log()[self._log_from:]):
            self.fail(f"{text!r} is not in the log")

    def assertMetricBecomes(self, name: str, value: float, timeout: float = 5.0):
        if not eventually(lambda: self.relay.metric(name) == value, timeout):
            self.assertEqual(self.relay.metric(name), value, name)

    def assertDatagramsBalance(self):
        """Each datagram received got exactly one verdict, and came in one batch."""

        def imbalance() -> tuple[float, float]:
            page = self.relay.metrics()
            verdicts = sum(page.total(name) for name in ("forwarded", "replied", "dropped"))
            received = page.total("received")
            return received - verdicts, received - page.total("in batches")

        # Not asked again after it was seen: the next datagram may be between its two counters.
        if not eventually(lambda: imbalance() == (0, 0)):
            self.assertEqual(imbalance(), (0, 0),
                             "received = forwarded + replied + dropped = in batches")

    @contextlib.contextmanager
    def bystander(self):
        """A pair over TCP and UDP that goes on talking meanwhile and must notice nothing."""
        with Bystander(self) as watch:
            yield watch
        self.assertEqual(watch.trouble, [])
        self.assertGreater(watch.rounds, 0)


class Bystander:
    """Sequence numbers echoed over both transports of one session."""

    ANSWER_WITHIN = 3.0

    def __init__(self, test: RelayTest):
        tokens = test.tokens()
        self.streams = test.stream_pair(tokens, lane=0)
        self.datagrams = test.datagram_pair(tokens)
        self.trouble: list[str] = []
        self.rounds = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *_):
        # At least some rounds fall behind whatever the block did.
        seen = self.rounds
        eventually(lambda: self.rounds >= seen + 3 or self.trouble, timeout=10)
        self._done.set()
        self._thread.join(15)

    def _talk(self):
        try:
            while not self._done.is_set() and not self.trouble:
                self._round(self.rounds)
                self.rounds += 1
                self._done.wait(0.01)
        except Exception:
            self.trouble.append(traceback.format_exc())

    def _round(self, number: int):
        note = number.to_bytes(8, "big") * 4
        for ends in (self.streams, self.streams[::-1]):
            ends[0].sendall(note)
            got = ends[1].read_exactly(len(note))
            if got != note:
                self.trouble.append(f"stream: {got.hex()} for {note.hex()}")
        for ends in (self.datagrams, self.datagrams[::-1]):
            ends[0].send(note)
            got = ends[1].recv(self.ANSWER_WITHIN)
            if got != note:
                self.trouble.append(f"datagram: {got and got.hex()} for {note.hex()}")
            ends[1].events = [event for event in ends[1].events
                              if not (isinstance(event, tc.Bound) and event.state == tc.PAIRED)]
            if ends[1].events:
                self.trouble.append(f"unasked: {ends[1].events}")
