"""The room services under measurement: the daemon's own, and npm's socket.io server with the same
events (rooms_peer/), which is installed into the build folder."""

import contextlib
import pathlib
import secrets
import shutil
import subprocess

from generator import Server
from processes import SubjectFailed, find_program, serving
from subjects import Subject, state_folder

PEER = pathlib.Path(__file__).resolve().parent / "rooms_peer"
INSTALL_TIMEOUT_S = 300
FILES = ("package.json", "package-lock.json", ".npmrc", "server.mjs")


def _secret_in(folder):
    file = folder / "jwt_secret"
    file.touch(mode=0o600)
    file.write_text(secrets.token_hex(32) + "\n")
    return file


def _route(port, secret):
    return (f"http://127.0.0.1:{port}", "--jwt-secret", secret)


def _is_current(folder):
    return (folder / "node_modules").is_dir() and all(
        (folder / name).is_file() and (folder / name).read_bytes() == (PEER / name).read_bytes()
        for name in FILES)


def install_peer(build):
    """npm ci into the build folder, unless what is there is the same; the folder."""
    folder = build / "rooms_peer"
    if _is_current(folder):
        return folder
    npm = find_program("npm", "npm")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(PEER / name, folder / name)
    try:
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        shutil.rmtree(folder)
        raise SubjectFailed(f"npm ci did not end in {INSTALL_TIMEOUT_S} s") from None
    if done.returncode != 0:
        shutil.rmtree(folder)
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[0]
        raise SubjectFailed(f"npm ci: {said}")
    return folder


class NpmRooms(Subject):
    name = "npm socket.io"
    PORT = 18701
    extra_s = 2

    def __init__(self, build):
        self._build = build

    @contextlib.contextmanager
    def serve(self, cpu, load):
        node = find_program("node", "nodejs")
        installed = self._build / "rooms_peer"
        if not _is_current(installed):
            raise SubjectFailed(f"it is not installed in {installed} (--no-install leaves it out)")
        with state_folder() as folder:
            secret = _secret_in(folder)
            command = [node, installed / "server.mjs", self.PORT, secret]
            with serving("rooms_peer", command, cpu, folder, self.PORT,
                         environment={"NODE_ENV": "production"}) as process:
                yield Server(self.name, _route(self.PORT, secret), process.pid)


class TandemRooms(Subject):
    """The daemon with its rooms' caps off: they would be what is measured. It is whole but for
    storage; the relay's one shard has no sessions."""

    PORT, RELAY_PORT = 18011, 18012
    SETTINGS = {
        "room.enabled": "true",
        "room.bind": "127.0.0.1",
        "room.port": PORT,
        "room.max_connections": 1_000_000,
        "room.connections_per_address": 0,
        "room.rate_limit.max": 0,
        "room.address_rate_limit.max": 0,
        "room.message_rate_limit.max": 0,
        "room.signal_rate_limit.max": 0,
        "room.max_rooms": 1_000_000,
        "engine.shards": 1,
        "listen.address": "127.0.0.1",
        "listen.port": RELAY_PORT,
        "sessions.max_sessions": 1000,
        "sessions.drain_timeout_s": 0,
        "storage.driver": "none",
        "monitoring.port": 18013,
        "log.level": "warn",
    }
    extra_s = 2

    def __init__(self, daemon, name="tandem", settings=None):
        self.name = name
        self._daemon = daemon
        self._settings = {**self.SETTINGS, **(settings or {})}

    @contextlib.contextmanager
    def serve(self, cpu, load):
        if not self._daemon.exists():
            raise SubjectFailed(f"no {self._daemon}: scripts/build")
        with state_folder() as folder:
            secret = _secret_in(folder)
            settings = {**self._settings, "room.jwt_secret_file": secret,
                        "admin.socket": folder / "admin.sock",
                        "admin.token_file": folder / "admin.token"}
            command = [self._daemon]
            for key, value in settings.items():
                command += ["--set", f"{key}={value}"]
            with serving("tandemd", command, cpu, folder, self.PORT,
                         environment={"STATE_DIRECTORY": str(folder)}) as process:
                yield Server(self.name, _route(self.PORT, secret), process.pid)
