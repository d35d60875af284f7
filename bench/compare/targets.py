"""What the project wants of its figures, and what became of it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import experiments as e
from rounds import Figure, added_by_round, ratio_by_round

MUST, AIM, BELOW, DAMAGED, NOT_MEASURED = "must", "aim", "BELOW", "DAMAGED", "not measured"
OURS, DIRECT, HAPROXY, NGINX, COTURN = "tandem", "direct", "haproxy-splice", "nginx", "coturn"
NPM = "npm socket.io"
ROOM_EVENTS = tuple(e.ROOM_EVENTS.values())
ELSEWHERE = "R1, R2 and R4 to R7 are tests"


class NotMeasured(Exception):
    pass


class Results:
    """The outcomes, by experiment and subject."""

    def __init__(self, outcomes):
        self._outcomes = outcomes

    def outcome(self, experiment, subject):
        outcome = self._outcomes.get(experiment, {}).get(subject)
        if outcome is None:
            raise NotMeasured(f"{subject} was not run")
        if outcome.failed is not None:
            raise NotMeasured(f"{subject}: {outcome.failed}")
        if not outcome.runs:
            raise NotMeasured(f"{subject}: interrupted")
        return outcome

    def runs(self, experiment, *subjects):
        """Those of one subject, or a list of each one's."""
        runs = [self.outcome(experiment, subject).runs for subject in subjects or (OURS,)]
        return runs if len(runs) > 1 else runs[0]


def _ratio(experiment, peer, key):
    def value(results):
        return ratio_by_round(*results.runs(experiment, OURS, peer), key)
    return value


def _added(experiment, peer, key):
    def value(results):
        return added_by_round(*results.runs(experiment, OURS, peer, DIRECT), key)
    return value


def _own(experiment, key):
    def value(results):
        return Figure(run[key] for run in results.runs(experiment))
    return value


def _bytes_a_pair(experiment, pairs):
    def value(results):
        [empty] = results.runs(e.EMPTY_DAEMON)
        return Figure((run["resident_bytes_after"] - empty["resident_bytes_before"]) / pairs
                      for run in results.runs(experiment))
    return value


def _ms(experiment, key):
    def value(results):
        return Figure(run[key] / 1000 for run in results.runs(experiment) if key in run)
    return value


def _best_by_round(results, subject):
    """Of the rates at which nothing went wrong and messages did not take too long."""
    measured = []
    for experiment in ROOM_EVENTS:
        with contextlib.suppress(NotMeasured):  # a rate that was too much for it
            measured.append(results.runs(experiment, subject))
    rounds = zip(*measured)
    return [max((run["events_per_server_cpu_s"] for run in runs if run["errors"] == 0
                 and run["message_p95_us"] <= e.ROOM_PATIENCE_US), default=None)
            for runs in rounds]


def _best_events(results):
    pairs = zip(_best_by_round(results, OURS), _best_by_round(results, NPM))
    return Figure(ours / peer for ours, peer in pairs if ours and peer)


def _without_errors(experiment):
    def judge(results):
        return all(run["errors"] == 0 for run in results.runs(experiment))
    return judge


def _all_matches_held(results):
    return _without_errors(e.MATCHES)(results) and all(
        run["matches_held"] == run["matches"] for run in results.runs(e.MATCHES))


def _never_woken(results):
    return all(run["quiet_relay_switches_per_s"] < 1 for run in results.runs(e.SILENCE))


@dataclass(frozen=True)
class Target:
    target: str
    what: str
    must: float
    aim: float
    better: str
    experiment: str
    value: Callable[[Results], Figure]
    aims_at: Callable[[Results], bool] = lambda _: True  # what the aim asks for beside the value
    also: tuple = ()  # experiments that it needs too
    asks: Callable[[Results], bool] = lambda _: True  # what even the must asks for beside it

    @property
    def experiments(self):
        return {self.experiment, *self.also}

    def _reaches(self, value, limit):
        return value >= limit if self.better == e.MORE else value <= limit

    def _verdict(self, value, results):
        if not results.outcome(self.experiment, OURS).intact:
            return DAMAGED
        if not self.asks(results):
            return BELOW
        if self._reaches(value, self.aim) and self.aims_at(results):
            return AIM
        return MUST if self._reaches(value, self.must) else BELOW

    def judge(self, results):
        row = {"target": self.target, "what": self.what, "must": self.must, "aim": self.aim,
               "better": self.better}
        try:
            value = self.value(results)
            if not value.values:
                raise NotMeasured("no round in which there was anything to compare")
            return row | {"median": value.median, "low": value.low, "high": value.high,
                          "values": value.values, "text": str(value),
                          "verdict": self._verdict(value.median, results)}
        except NotMeasured as why:
            return row | {"median": None, "low": None, "high": None, "values": [], "text": str(why),
                          "verdict": NOT_MEASURED}


TARGETS = [
    Target("T1", "bulk TCP, ours / HAProxy splice", 1.3, 1.6, e.MORE, e.BULK_TCP,
           _ratio(e.BULK_TCP, HAPROXY, "throughput_gbit_s")),
    Target("T2", "the same, machine CPU above direct's", 0.80, 0.60, e.LESS, e.BULK_TCP,
           _added(e.BULK_TCP, HAPROXY, "machine_cpu_s_per_gb")),
    Target("T3", "bulk TCP, ours / direct", 0.80, 0.95, e.MORE, e.BULK_TCP,
           _ratio(e.BULK_TCP, DIRECT, "throughput_gbit_s")),
    Target("T4", "relay CPU per message, ours / HAProxy", 0.50, 0.33, e.LESS, e.MESSAGES_TCP,
           _ratio(e.MESSAGES_TCP, HAPROXY, "relay_cpu_s_per_million")),
    Target("T5", "added p99, ours / HAProxy", 0.5, 0.3, e.LESS, e.MESSAGES_TCP,
           _added(e.MESSAGES_TCP, HAPROXY, "latency_p99_us")),
    Target("T6", "UDP scattered, packets per relay-CPU-second, ours / nginx", 1.6, 4, e.MORE,
           e.SCATTERED_UDP, _ratio(e.SCATTERED_UDP, NGINX, "packets_per_relay_cpu_s")),
    Target("T7", "UDP scattered, the same, ours / coturn", 2.5, 10, e.MORE, e.SCATTERED_UDP,
           _ratio(e.SCATTERED_UDP, COTURN, "packets_per_relay_cpu_s")),
    Target("T8", "UDP trains, the same, ours / nginx", 4, 8, e.MORE, e.TRAINS_UDP,
           _ratio(e.TRAINS_UDP, NGINX, "packets_per_relay_cpu_s")),
    Target("T9", "user-space bytes of an idle TCP pair", 512, 256, e.LESS, e.IDLE_TCP,
           _bytes_a_pair(e.IDLE_TCP, e.IDLE_PAIRS["tcp"]), also=(e.EMPTY_DAEMON,)),
    Target("T9", "user-space bytes of an idle UDP pair", 256, 128, e.LESS, e.IDLE_UDP,
           _bytes_a_pair(e.IDLE_UDP, e.IDLE_PAIRS["udp"]), also=(e.EMPTY_DAEMON,)),
    Target("T10", "idle TCP pairs held", 9_000, 35_000, e.MORE, e.IDLE_TCP,
           _own(e.IDLE_TCP, "pairs")),
    Target("T10", "idle UDP pairs held", 200_000, 1_000_000, e.MORE, e.IDLE_UDP,
           _own(e.IDLE_UDP, "pairs")),
    Target("T11", "TCP pairings per relay-CPU-second, ours / HAProxy", 1.3, 2, e.MORE,
           e.PAIRINGS_TCP, _ratio(e.PAIRINGS_TCP, HAPROXY, "pairs_per_relay_cpu_s")),
    Target("T12", "relay CPU with 100,000 silent UDP pairs, %", 1.0, 0.0, e.LESS, e.SILENCE,
           _own(e.SILENCE, "quiet_relay_cpu_percent"), aims_at=_never_woken),
    Target("T13", "resident bytes of an idle Socket.IO client, at 15,000", 8192, 4096, e.LESS,
           e.IDLE_CLIENTS, _own(e.IDLE_CLIENTS, "resident_bytes_per_client"),
           asks=_without_errors(e.IDLE_CLIENTS)),
    Target("T14", "room events per server-CPU-second, ours / npm socket.io, each at its best", 5,
           10, e.MORE, ROOM_EVENTS[0], _best_events, also=ROOM_EVENTS[1:]),
    *(Target("T15", f"2,000 matches of 2, 200 made a second: {event} p95, ms", must, aim, e.LESS,
             e.MATCHES, _ms(e.MATCHES, f"{event}_p95_us"), asks=_all_matches_held)
      for event, must, aim in (("create", 30, 5), ("join", 20, 5), ("message", 10, 2))),
    *(Target("T16", f"5,000 clients, 25,000 events a second: {name}, ms", must, aim, e.LESS,
             e.ACTIVE_CLIENTS, _ms(e.ACTIVE_CLIENTS, f"message_{key}_us"),
             asks=_without_errors(e.ACTIVE_CLIENTS))
      for name, key, must, aim in (("p95", "p95", 25, 5), ("p99", "p99", 50, 10),
                                   ("p99.9", "p999", 200, 50))),
    Target("R3", "bytes back per byte from an unvalidated source", 1.0, 1.0, e.LESS, e.REFLECTED,
           _own(e.REFLECTED, "worst_returned_per_sent")),
]


def known():
    return list(dict.fromkeys(target.target for target in TARGETS))


def experiments_of(names):
    """Those that these targets need."""
    if unknown := sorted(set(names) - set(known())):
        raise SystemExit(f"not measured here: {', '.join(unknown)}; known: {', '.join(known())}; "
                         f"{ELSEWHERE}")
    return {experiment for target in TARGETS if target.target in names
            for experiment in target.experiments}


def judge(outcomes, measured):
    """A row for each target all of whose experiments were asked for."""
    results = Results(outcomes)
    return [target.judge(results) for target in TARGETS if target.experiments <= set(measured)]
