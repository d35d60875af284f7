"""The relay under measurement."""

import contextlib
import os

from generator import Server
from processes import SubjectFailed, serving
from subjects import Subject, state_folder


SUBMISSIONS = ("defer", "sqpoll")
ZERO_COPIES = ("off", "splice", "send_zc")


class Tandem(Subject):
    """The relay with its caps off: they would be what is measured. Rooms and storage are off too,
    so that the process is the relay."""

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

    def __init__(self, daemon, name="tandem", settings=None):
        self.name = name
        self._daemon = daemon
        self._settings = {**self.CAPS_OFF, **self.ALONE, **self.PATIENT, **(settings or {})}

    @contextlib.contextmanager
    def serve(self, cpu, load):
        if not self._daemon.exists():
            raise SubjectFailed(f"no {self._daemon}: scripts/build")
        with state_folder() as folder:
            keys = folder / "keys"
            keys.touch(mode=0o600)
            keys.write_text(f"1 {os.urandom(32).hex()}\n")
            settings = {**self._settings, "security.key_file": keys,
                        "admin.socket": folder / "admin.sock",
                        "admin.token_file": folder / "admin.token"}
            command = [self._daemon]
            for key, value in settings.items():
                command += ["--set", f"{key}={value}"]
            with serving("tandemd", command, cpu, folder, self.PORT,
                         environment={"STATE_DIRECTORY": str(folder)}) as process:
                yield Server(self.name, ("--relay", f"127.0.0.1:{self.PORT}", "--key-file", keys),
                             process.pid)


def modes(daemon, submissions=SUBMISSIONS, zero_copies=ZERO_COPIES):
    """The relay in each way it can submit and copy."""
    return [Tandem(daemon, f"tandem {submission} {zero_copy}",
                   {"engine.submission": submission, "engine.zero_copy": zero_copy})
            for submission in submissions for zero_copy in zero_copies]
