"""Starts servers on a core of their own, sees that they listen, and stops them by their process
group with all that they forked. Knows nothing of who they are."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 10
POLL_S = 0.02
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
TCP_LISTEN = "0A"
PINNED = ("setpriv", "--pdeathsig", "TERM", "taskset", "-c")  # and the core
running = []  # what has been started and not been stopped
COMPLAINT = re.compile(r"alert|emerg|error|fatal|fail|cannot|can't|could not|denied|unknown|invalid"
                       r"|unrecognized|no such|already in use", re.I)


class SubjectFailed(Exception):
    """One line that says why there are no figures of a subject."""


class RunFailed(SubjectFailed):
    """One run came to nothing; another may not."""


def find_program(name, package):
    """Its path; the folders of system programs are not in every user's PATH."""
    if path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return path
    raise SubjectFailed(f"{name} is not installed (Debian package {package})")


def complaint(log):
    """The line of a log that says what is wrong: its first, where none sounds like it."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next(filter(COMPLAINT.search, lines), lines[0] if lines else "it said nothing")


def listens(transport, port):
    """Read from the kernel's tables: a connection to try it would be the server's first load."""
    for line in pathlib.Path("/proc/net", transport).read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if int(local.partition(":")[2], 16) == port and (transport == "udp" or state == TCP_LISTEN):
            return True
    return False


def _await_free(transport, port):
    """A process that has ended may leave its io_uring behind, and with it its sockets, for some 100
    ms."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while listens(transport, port):
        if time.monotonic() > deadline:
            raise SubjectFailed(f"port {port} is taken; is another comparison running?")
        time.sleep(POLL_S)


def _await_listening(process, transport, port, log):
    deadline = time.monotonic() + START_TIMEOUT_S
    while not listens(transport, port):
        if process.poll() is not None:
            raise SubjectFailed(f"ended with {process.returncode}: {complaint(log.read_text())}")
        if time.monotonic() > deadline:
            raise SubjectFailed(f"not listening on {port}: {complaint(log.read_text())}")
        time.sleep(POLL_S)


def start(command, cpu, **popen_options):
    """Leader of a process group of its own, so that Ctrl-C is this program's alone to answer; ended
    by the kernel if this program is killed."""
    process = subprocess.Popen(
        [*PINNED, str(cpu), *map(str, command)],
        stdin=subprocess.DEVNULL, start_new_session=True, **popen_options)
    running.append(process)
    return process


def _stat(pid):
    """The fields of /proc/PID/stat from the state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def group_members(group):
    """Zombies are left out: whose they are has to reap them."""
    members = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, own_group, *_ = _stat(entry.name)
            if int(own_group) == group and state != "Z":
                members.append(int(entry.name))
    return members


def cpu_seconds(pid):
    """User and system time of a process with all its threads."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def _signal_group(group, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _name(process):
    return pathlib.Path(process.args[len(PINNED) + 1]).name


def stop(process):
    """The process and what it forked."""
    group = process.pid
    _signal_group(group, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while process.poll() is None or group_members(group):
        if time.monotonic() > deadline:
            print(f"  {_name(process)} did not stop in {STOP_TIMEOUT_S} s: killed", file=sys.stderr)
            _signal_group(group, signal.SIGKILL)
            process.wait()
            break
        time.sleep(POLL_S)
    running.remove(process)


def stop_all():
    """For the end of the program: a signal may have come while something was being stopped."""
    for process in list(running):
        stop(process)


@contextlib.contextmanager
def serving(name, command, cpu, folder, port, transport="tcp", environment=None):
    """The process, once it listens."""
    _await_free(transport, port)
    log = folder / f"{name}.log"
    with log.open("w") as output:
        process = start(command, cpu, cwd=folder, stdout=output, stderr=subprocess.STDOUT,
                        env={**os.environ, **(environment or {})})
    try:
        _await_listening(process, transport, port, log)
        yield process
    finally:
        stop(process)
