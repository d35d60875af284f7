"""Drives udp_blast.c over the sockets of a bound pair."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tandem_client as tc

SOURCE = Path(__file__).with_name("udp_blast.c")
_built: tempfile.TemporaryDirectory | None = None


def binary() -> str:
    """The build's own where it is named, else one compiled for this run."""
    global _built
    if named := os.environ.get("TANDEM_UDP_BLAST"):
        return named
    if _built is None:
        _built = tempfile.TemporaryDirectory(prefix="tandem-e2e-")
        compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
        subprocess.run([compiler, "-std=c11", "-D_GNU_SOURCE", "-O2", "-o",
                        f"{_built.name}/udp_blast", str(SOURCE)], check=True)
    return f"{_built.name}/udp_blast"


@dataclass
class Outcome:
    sent: int
    received: int
    lost: int
    late: int
    corrupt: int
    foreign: int
    bytes: int
    seconds: float


class Blast:
    """One direction under way."""

    def __init__(self, sender: tc.Datagrams, receiver: tc.Datagrams, *, count: int, window: int,
                 seed: int, sizes: tuple[int, int], timeout: float):
        descriptors = sender.sock.fileno(), receiver.sock.fileno()
        arguments = [*descriptors, *sender.relay, sender.token.shard_key, sender.channel, count,
                     window, seed, *sizes, timeout]
        self.timeout = timeout
        self.process = subprocess.Popen([binary(), *map(str, arguments)], pass_fds=descriptors,
                                        stdout=subprocess.PIPE, text=True)

    def outcome(self) -> Outcome:
        try:
            output, _ = self.process.communicate(timeout=self.timeout + 10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        if self.process.returncode:
            raise RuntimeError(f"udp_blast gave {self.process.returncode}")
        return Outcome(**json.loads(output))
