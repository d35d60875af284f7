"""tandem-bench: its command line and its JSON, which nothing else here knows."""

import json
import subprocess
import sys
from dataclasses import dataclass

from processes import RunFailed

TIMEOUT_BEYOND_S = 240
EXIT_DAMAGED = 2
FOREIGN_SHARE_MAX = 0.1  # of one core


@dataclass(frozen=True)
class Load:
    """What is asked of the generator, whatever the subject."""
    mode: str
    pairs: int = 0  # 0: the mode has a number of its own
    seconds: float = 0
    warm_up_s: float = 0
    options: tuple = ()

    def arguments(self):
        words = [self.mode]
        if self.pairs:
            words += ["-P", self.pairs]
        if self.seconds:
            words += ["-t", self.seconds, "-O", self.warm_up_s, "-i", 0]
        return [str(word) for word in (*words, *self.options)]


@dataclass(frozen=True)
class Server:
    """One running subject: how the generator reaches it, and the process that it costs."""
    name: str
    route: tuple
    pid: int | None = None


class Generator:
    def __init__(self, program, cpu):
        self._program = str(program)
        self.cpu = cpu

    def run(self, server, load):
        """One run against a running server: the summary of tandem-bench's report."""
        command = [self._program, *load.arguments(), *map(str, server.route),
                   "--cpu", str(self.cpu), "-J"]
        if server.pid is not None:
            command += ["--pid", str(server.pid)]
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  timeout=load.seconds + load.warm_up_s + TIMEOUT_BEYOND_S)
        except subprocess.TimeoutExpired as late:
            raise RunFailed(f"no end of its traffic after {late.timeout:.0f} s") from None
        if done.returncode not in (0, EXIT_DAMAGED):
            raise RunFailed(_last_line(done.stderr) or f"tandem-bench ended with {done.returncode}")
        summary = json.loads(done.stdout)["summary"]
        _warn_of_company(server.name, summary)
        return summary


def _last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _warn_of_company(name, summary):
    if summary.get("foreign_cpu_s", 0) > FOREIGN_SHARE_MAX * summary.get("wall_s", 0):
        print(f"  {name}: others used {summary['foreign_cpu_s']:.1f} CPU-s during this run",
              file=sys.stderr)
