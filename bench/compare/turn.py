"""coturn, which makes its own load: turnutils_uclient sends messages from client to client through
two allocations of the same server, by channels, on its own schedule.

What counts as a packet: each message crosses the relay twice, once from the sender's channel to the
receiver's relayed address and once from there into the receiver's channel; both are a datagram
taken in and one sent out, as a datagram through the other relays is. Only messages that arrived are
counted, so what is delivered is twice what uclient received."""

import math
import re
import subprocess
import threading
import time
from dataclasses import dataclass, replace

from processes import (RunFailed, complaint, cpu_seconds, find_program, serving, start,
                       stop)
from subjects import CONFIG, Subject, state_folder

PACKAGE = "coturn"
PORT = 18401  # as in turnserver.conf
CLIENTS = 50
CLIENTS_A_MS = 50  # that send: 50,000 messages a second, about what one uclient can do
CONNECT_S = 0.1  # that uclient waits for each client
RAMP_S = 6  # each client begins between one and six seconds after the last was connected
SPREAD_S = 6  # what a client sends longer than is measured, so that all of them send meanwhile
LATE_S = 30
PACKETS_A_MESSAGE = 2
PAYLOAD = 200  # bytes, as T6 has

CONNECTED = "Total connect time"
PROGRESS = re.compile(r"msz=\d+, tot_send_msgs=(\d+), tot_recv_msgs=(\d+)")
TOTAL = re.compile(r"start_mclient: tot_send_msgs=(\d+), tot_recv_msgs=(\d+)")
LOST = re.compile(r"Total lost packets (\d+) .*total send dropped (\d+)")
ROUND_TRIP = re.compile(r"Average round trip delay ([\d.]+) ms; min = \d+ ms, max = (\d+) ms")


@dataclass(frozen=True)
class Count:
    """Messages since the start."""
    sent: int
    received: int


@dataclass(frozen=True)
class ClientReport:
    """What uclient says at its end."""
    sent: int = 0
    received: int = 0
    lost: int = 0
    dropped: int = 0  # not even sent
    round_trip_ms: float = 0
    round_trip_max_ms: int = 0


def progress_of(line):
    """Of a line that uclient prints each second: its count; of another: None."""
    found = PROGRESS.search(line)
    return Count(*map(int, found.groups())) if found else None


def parse_report(text):
    report = ClientReport()
    if found := TOTAL.search(text):
        report = replace(report, sent=int(found[1]), received=int(found[2]))
    if found := LOST.search(text):
        report = replace(report, lost=int(found[1]), dropped=int(found[2]))
    if found := ROUND_TRIP.search(text):
        report = replace(report, round_trip_ms=float(found[1]), round_trip_max_ms=int(found[2]))
    if not report.sent:
        raise RunFailed(f"turnutils_uclient reported nothing: {text.strip()[-200:]!r}")
    return report


@dataclass(frozen=True)
class Sample:
    """A count, and the server's CPU time and the clock as it was read."""
    count: Count
    cpu_s: float
    at_s: float


def summary(begin, end, report):
    """As tandem-bench's: the rates between two samples of the time when all clients send, the loss
    over the whole run."""
    wall_s, cpu_s = end.at_s - begin.at_s, end.cpu_s - begin.cpu_s
    packets = PACKETS_A_MESSAGE * (end.count.received - begin.count.received)
    return {
        "delivered_kpps": packets / wall_s / 1e3,
        "offered_kpps": PACKETS_A_MESSAGE * (end.count.sent - begin.count.sent) / wall_s / 1e3,
        "packets_per_relay_cpu_s": packets / cpu_s if cpu_s else 0,
        "relay_cpu_s_per_million": cpu_s / packets * 1e6 if packets else 0,
        "lost": report.lost,
        "lost_fraction": report.lost / report.sent,
        "round_trip_ms": report.round_trip_ms,
        "relay_cpu_s": cpu_s,
        "wall_s": wall_s,
        "intact": int(report.received > 0),
    }


# ---- a live run ----

class Coturn(Subject):
    name = "coturn"

    def __init__(self, clients=CLIENTS):
        self._clients = max(CLIENTS_A_MS, clients // CLIENTS_A_MS * CLIENTS_A_MS)
        self.extra_s = self._clients * CONNECT_S + RAMP_S + SPREAD_S + 1

    def measure(self, generator, load, cpu):
        interval_ms = self._clients // CLIENTS_A_MS
        messages = math.ceil((load.seconds + SPREAD_S) * 1000 / interval_ms)
        command = client_command(self._clients, messages, interval_ms)
        with state_folder() as folder, server(cpu, folder) as relay:
            client = start(command, generator.cpu, cwd=folder, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
            limit = threading.Timer(self.extra_s + load.seconds + LATE_S, client.kill)
            limit.start()
            try:
                return _follow(client.stdout, relay.pid, load.seconds)
            finally:
                limit.cancel()
                stop(client)
                client.stdout.close()


def client_command(clients, messages, interval_ms):
    """`messages` of each client. Channels are its default and its cheapest way; it prints line by
    line, so that what it counted is of now."""
    return ["stdbuf", "-oL", find_program("turnutils_uclient", PACKAGE), "-c", "-y",
            "-m", clients, "-n", messages, "-z", interval_ms, "-l", PAYLOAD,
            "-p", PORT, "-L", "127.0.0.1", "127.0.0.1"]


def server(cpu, folder):
    """A context with the server's process in it."""
    command = [find_program("turnserver", PACKAGE), "-c", CONFIG / "turnserver.conf",
               "--pidfile", folder / "turnserver.pid", "--userdb", folder / "turndb"]
    return serving("turnserver", command, cpu, folder, PORT, "udp")


def _follow(output, server, seconds):
    """Reads what uclient prints as it prints it, to the end."""
    text, samples, connected_at = [], [], None
    for line in output:
        text.append(line)
        now = time.monotonic()
        if CONNECTED in line:
            connected_at = now
        count = progress_of(line)
        if count and connected_at and _wanted(samples, connected_at, seconds, now):
            samples.append(Sample(count, cpu_seconds(server), now))
    if len(samples) < 2:
        raise RunFailed(f"turnutils_uclient: {complaint(''.join(text))}")
    return summary(*samples, parse_report("".join(text)))


def _wanted(samples, connected_at, seconds, now):
    """One sample when all clients send, one at the end of what is measured."""
    if not samples:
        return now >= connected_at + RAMP_S
    return len(samples) == 1 and now >= samples[0].at_s + seconds
