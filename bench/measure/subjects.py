"""What is measured: servers on a core of their own, started with the configuration beside this file and
stopped by pid. Knows nothing of loads or targets."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 10


class Server:
    """One running subject: its processes, and how tandem-bench reaches it."""

    def __init__(self, name, route, process=None):
        self.name = name
        self.route = route
        self._process = process

    def pids(self):
        if self._process is None:
            return []
        own = self._process.pid
        children = pathlib.Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]


def _listens(port):
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _await_listening(process, port, log):
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args}: not listening on {port}\n{log.read_text()}")
        time.sleep(0.02)


def _await_free(port):
    """A process that has ended may leave its io_uring behind, and with it its sockets, for some 100 ms."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while _listens(port):
        if time.monotonic() > deadline:
            raise RuntimeError(f"port {port} is taken; is an earlier measurement still running?")
        time.sleep(0.02)


def _stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"  {process.args} did not stop in {STOP_TIMEOUT_S} s: killed", file=sys.stderr)
        process.kill()
        process.wait()


@contextlib.contextmanager
def _serving(name, command, port, route, cpu, folder, environment=None):
    _await_free(port)
    log = folder / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
    try:
        _await_listening(process, port, log)
        yield Server(name, route, process)
    finally:
        _stop(process)


class Direct:
    name = "direct"

    @contextlib.contextmanager
    def serve(self, cpu):
        yield Server(self.name, ["--direct"])


class Proxy:
    """A peer from the distribution. `command` finds its configuration by the name given."""

    def __init__(self, name, port, sink, command):
        self.name = name
        self._port = port
        self._route = ["--via", f"127.0.0.1:{port}", "--sink", str(sink)]
        self._command = command

    @contextlib.contextmanager
    def serve(self, cpu):
        with tempfile.TemporaryDirectory(prefix="tandem-measure-") as name:
            folder = pathlib.Path(name)
            with _serving(self.name, self._command(folder), self._port, self._route, cpu,
                          folder) as server:
                yield server


def _haproxy(config):
    return lambda folder: ["haproxy", "-db", "-f", str(HERE / config)]


def _nginx(folder):
    return ["nginx", "-p", str(folder), "-c", str(HERE / "nginx-stream.conf"),
            "-g", f"pid {folder}/nginx.pid;"]


HAPROXY_SPLICE = Proxy("haproxy-splice", 18101, 18102, _haproxy("haproxy-splice.cfg"))
HAPROXY_COPY = Proxy("haproxy-copy", 18111, 18112, _haproxy("haproxy-copy.cfg"))
NGINX = Proxy("nginx", 18201, 18202, _nginx)


class Tandem:
    """The relay with its caps off: they would be what is measured. Rooms and storage are off too, so
    that the process is the relay."""

    PORT = 18001
    CAPS_OFF = {
        "bandwidth.session_mbps": 0,
        "security.packets_per_second": 0,
        "security.max_packet_size": 1500,
        "security.connections_per_address": 0,
        "security.half_open_per_address": 0,
        "security.new_connections_per_minute": 0,
    }
    ALONE = {
        "engine.shards": 1,
        "listen.address": "127.0.0.1",
        "listen.port": PORT,
        "room.enabled": "false",
        "storage.driver": "none",
        "monitoring.port": 18002,
        "log.level": "warn",
        # The pairs of a run that is over are nobody's: a stop need not wait for them.
        "sessions.drain_timeout_s": 0,
    }
    # Idle pairs are silent here, so that nothing but the relay's own timers is seen.
    PATIENT = {
        "sessions.keepalive_timeout_s": 3600,
        "sessions.session_timeout_s": 3600,
    }

    def __init__(self, daemon, name="tandem", settings=None, submission="defer"):
        self.name = name
        self._daemon = daemon
        self._settings = {**self.CAPS_OFF, **self.ALONE, **self.PATIENT,
                          "engine.submission": submission, **(settings or {})}

    @contextlib.contextmanager
    def serve(self, cpu):
        with tempfile.TemporaryDirectory(prefix="tandem-measure-") as name:
            folder = pathlib.Path(name)
            keys = folder / "keys"
            keys.touch(mode=0o600)
            keys.write_text(f"1 {os.urandom(32).hex()}\n")
            settings = {**self._settings, "security.key_file": keys,
                        "admin.socket": folder / "admin.sock",
                        "admin.token_file": folder / "admin.token"}
            command = [str(self._daemon)]
            for key, value in settings.items():
                command += ["--set", f"{key}={value}"]
            route = ["--relay", f"127.0.0.1:{self.PORT}", "--key-file", str(keys)]
            with _serving(self.name, command, self.PORT, route, cpu, folder,
                          {"STATE_DIRECTORY": name}) as server:
                yield server
