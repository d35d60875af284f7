"""The tables of the targets: which load, which subjects, which figures."""

from dataclasses import dataclass, field

import peers
from generator import Load
from rooms import NpmRooms, TandemRooms
from subjects import Direct
from tandem import Tandem, modes
from turn import Coturn

MORE, LESS = "more", "less"


@dataclass(frozen=True)
class Column:
    key: str
    label: str
    better: str


@dataclass
class Experiment:
    name: str
    load: Load
    subjects: list
    columns: list
    once: bool = False  # no rounds: what is counted does not depend on the machine's mood
    extra_s: float = 0  # that a run takes beside the load's seconds
    left_out: list = field(default_factory=list)  # subjects that a full run has

    def run_s(self, subject):
        """What a run is expected to take."""
        return subject.extra_s + self.extra_s + self.load.seconds + self.load.warm_up_s

    @property
    def expected_s(self):
        """Of one round."""
        return sum(map(self.run_s, self.subjects))


# "both" is the relay's and the generator's: what is left of the machine's when others use it too.
BULK = [Column("throughput_gbit_s", "Gbit/s delivered", MORE),
        Column("relay_cpu_s_per_gb", "relay CPU-s a GB", LESS),
        Column("both_cpu_s_per_gb", "with the generator's", LESS),
        Column("machine_cpu_s_per_gb", "machine CPU-s a GB", LESS)]
MESSAGES = [Column("relay_cpu_s_per_million", "relay CPU-s a million", LESS),
            Column("latency_p50_us", "p50 µs", LESS),
            Column("latency_p99_us", "p99 µs", LESS),
            Column("latency_p999_us", "p99.9 µs", LESS)]
DATAGRAMS = [Column("delivered_kpps", "kpps delivered", MORE),
             Column("packets_per_relay_cpu_s", "packets a relay CPU-s", MORE),
             Column("relay_cpu_s_per_million", "relay CPU-s a million", LESS),
             Column("lost_fraction", "lost", LESS)]
PAIRINGS = [Column("pairs_per_s", "pairs a second", MORE),
            Column("pairs_per_relay_cpu_s", "pairs a relay CPU-s", MORE)]
IDLE = [Column("resident_bytes_after", "resident bytes", LESS),
        Column("pairs_per_s", "joined a second", MORE),
        Column("quiet_relay_cpu_percent", "quiet: relay CPU %", LESS),
        Column("quiet_relay_switches_per_s", "quiet: switches/s", LESS),
        Column("alive_share", "still forward", MORE)]
EMPTY = [Column("resident_bytes_before", "resident bytes", LESS)]
REFLECTION = [Column("probes", "probes", MORE),
              Column("sent_bytes", "bytes sent", MORE),
              Column("returned_bytes", "bytes returned", LESS),
              Column("worst_returned_per_sent", "worst factor", LESS)]

IDLE_CLIENTS_FIGURES = [Column("resident_bytes_per_client", "resident bytes a client", LESS),
                        Column("resident_bytes_before", "without any", LESS),
                        Column("connected_per_s", "connected a second", MORE),
                        Column("server_cpu_percent", "idle: CPU %", LESS),
                        Column("errors", "errors", LESS)]
EVENTS = [Column("events_per_server_cpu_s", "events a CPU-s", MORE),
          Column("events_per_s", "events a second", MORE),
          Column("server_cpu_percent", "CPU %", LESS),
          Column("message_p50_us", "message p50 µs", LESS),
          Column("message_p95_us", "p95 µs", LESS),
          Column("message_p99_us", "p99 µs", LESS),
          Column("errors", "errors", LESS)]
MATCHES_FIGURES = [Column("matches_held", "held", MORE),
                   Column("create_p95_us", "create p95 µs", LESS),
                   Column("join_p95_us", "join p95 µs", LESS),
                   Column("message_p95_us", "message p95 µs", LESS),
                   Column("server_cpu_percent", "CPU %", LESS),
                   Column("errors", "errors", LESS)]
ACTIVE_FIGURES = [Column("events_per_s", "events a second", MORE),
                  Column("message_p95_us", "message p95 µs", LESS),
                  Column("message_p99_us", "p99 µs", LESS),
                  Column("message_p999_us", "p99.9 µs", LESS),
                  Column("server_cpu_percent", "CPU %", LESS),
                  Column("errors", "errors", LESS)]

BULK_TCP, MESSAGES_TCP = "bulk TCP", "messages over TCP"
SCATTERED_UDP, TRAINS_UDP = "scattered UDP", "UDP trains"
EMPTY_DAEMON, IDLE_TCP, IDLE_UDP = "an empty daemon", "idle TCP pairs", "idle UDP pairs"
PAIRINGS_TCP, SILENCE, REFLECTED = "TCP pairings", "silent UDP pairs", "reflection"
IDLE_CLIENTS = "idle Socket.IO clients"
MATCHES, ACTIVE_CLIENTS = "matches", "active Socket.IO clients"

# Events sent a second: a service writes several frames at once where it is busy, so each is measured
# where it is best, while a message still takes no longer than that.
ROOM_RATES = (1_000, 4_000, 16_000, 24_000, 32_000)
ROOM_PATIENCE_US = 100_000
ROOM_EVENTS = {rate: f"room events, {rate:,} sent a second" for rate in ROOM_RATES}
# Answers and copies, which is what T14 counts: 25,000 of them a second with a tenth of turnover.
ACTIVE_RATE = 13_200

IDLE_PAIRS = {"tcp": 9_000, "udp": 200_000}
SILENT_PAIRS = 100_000
CLIENTS_HELD = 15_000


class Catalogue:
    """What there is to measure, for these options: `build`, `quick`, `seconds`, `message_rate`,
    `coturn_clients`, `minutes`."""

    def __init__(self, options):
        self._options = options
        self._daemon = options.build / "tandemd"
        self._timing = {"seconds": options.seconds, "warm_up_s": 0.5 if options.quick else 1}

    def experiments(self):
        return [self.bulk(), self.messages(), self.scattered(), self.trains(), self.empty(),
                self.idle("tcp", IDLE_TCP), self.idle("udp", IDLE_UDP), self.pairings(),
                self.silence(), self.reflection(), self.idle_clients(), *self.room_events(),
                self.matches(), self.active_clients()]

    def modes(self):
        """The relay alone, in each way it can submit and copy."""
        bulk, scattered = self.bulk(), self.scattered()
        return [Experiment(bulk.name, bulk.load, modes(self._daemon), BULK),
                Experiment(scattered.name, scattered.load,
                           modes(self._daemon, zero_copies=["off"]), DATAGRAMS)]

    def _tandem(self, settings=None):
        return Tandem(self._daemon, settings=settings)

    def _table(self, name, load, subjects, columns, spared=()):
        """`spared`: whom no target needs and a quick run leaves out."""
        left_out = spared if self._options.quick else []
        taken = [subject for subject in subjects if subject.name not in left_out]
        return Experiment(name, load, taken, columns, left_out=list(left_out))

    def bulk(self):
        each = modes(self._daemon)
        return self._table(
            BULK_TCP, Load("tcp", 8, **self._timing, options=("-l", "64K")),
            [Direct(), peers.HAPROXY_SPLICE, peers.HAPROXY_COPY, peers.NGINX, peers.SOCAT,
             peers.SYNCTHING, peers.WORMHOLE, self._tandem(), *each],
            BULK, spared=["haproxy-copy", *(mode.name for mode in each)])

    def messages(self):
        return self._table(
            MESSAGES_TCP,
            Load("latency", 1000, **self._timing,
                 options=("--transport", "tcp", "-l", 128, "--rate", self._options.message_rate,
                          "--no-direct")),
            [Direct(), peers.HAPROXY_SPLICE, peers.HAPROXY_COPY, peers.NGINX, self._tandem()],
            MESSAGES, spared=["haproxy-copy", "nginx"])

    def scattered(self):
        load = Load("udp", 1000, **self._timing, options=("-l", 200))
        return self._datagrams(SCATTERED_UDP, load, Coturn(self._options.coturn_clients))

    def trains(self):
        load = Load("udp", **self._timing, options=("--train", "-l", 1200))
        return self._datagrams(TRAINS_UDP, load, peers.SOCAT_UDP)

    def _datagrams(self, name, load, other):
        [sqpoll] = modes(self._daemon, ["sqpoll"], ["off"])
        return self._table(name, load, [Direct(), peers.NGINX, other, self._tandem(), sqpoll],
                           DATAGRAMS, spared=["direct", peers.SOCAT_UDP.name, sqpoll.name])

    def empty(self):
        """A daemon with room for hardly anyone: what a pair costs is counted from here, so that
        tables made at the start are not free."""
        return Experiment(
            EMPTY_DAEMON, Load("sessions", options=("--kind", "udp", "--count", 1)),
            [self._tandem({"sessions.max_sessions": 1000})], EMPTY, once=True, extra_s=3)

    def _held(self, name, kind, count, quiet_s):
        return Experiment(
            name, Load("sessions", options=("--kind", kind, "--count", count, "--hold", quiet_s)),
            [self._tandem({"sessions.max_sessions": count + 1000})], IDLE, once=True,
            extra_s=quiet_s + 20)

    def idle(self, kind, name):
        return self._held(name, kind, IDLE_PAIRS[kind], 1)

    def silence(self):
        return self._held(SILENCE, "udp", SILENT_PAIRS, 5 if self._options.quick else 30)

    def pairings(self):
        count = 10_000 if self._options.quick else 40_000
        load = Load("sessions", options=("--kind", "tcp", "--count", count, "--close",
                                         "--workers", 1))
        return self._table(
            PAIRINGS_TCP, load, [peers.HAPROXY_SPLICE, peers.NGINX, self._tandem()], PAIRINGS,
            spared=["nginx"])

    def reflection(self):
        return Experiment(REFLECTED, Load("reflect"), [self._tandem()], REFLECTION, once=True,
                          extra_s=5)

    def _room_services(self):
        return [NpmRooms(self._options.build), TandemRooms(self._daemon)]

    def idle_clients(self):
        load = Load("rooms", seconds=5, warm_up_s=2,
                    options=("--clients", CLIENTS_HELD, "--connect-rate", 500, "--rooms-of", 0,
                             "--timeout", 60))
        return Experiment(IDLE_CLIENTS, load, self._room_services(), IDLE_CLIENTS_FIGURES,
                          once=True, extra_s=20)

    def room_events(self):
        def at(rate):
            load = Load("rooms", **self._timing,
                        options=("--clients", 800, "--rooms-of", 8, "--connect-rate", 400,
                                 "--rate", rate, "--turnover", 0.2, "--spin"))
            return Experiment(ROOM_EVENTS[rate], load, self._room_services(), EVENTS, extra_s=6)
        return [at(rate) for rate in ROOM_RATES]

    def matches(self):
        load = Load("matches", options=("--matches", 2000, "--rate", 200, "--players", 2,
                                        "--messages", 20, "--message-interval", 0.5,
                                        "--spin"))
        return Experiment(MATCHES, load, self._room_services(), MATCHES_FIGURES, once=True,
                          extra_s=35)

    def active_clients(self):
        load = Load("rooms", seconds=60 * self._options.minutes, warm_up_s=5,
                    options=("--profile", "large", "--rate", ACTIVE_RATE, "--spin"))
        return Experiment(ACTIVE_CLIENTS, load, [TandemRooms(self._daemon)], ACTIVE_FIGURES,
                          once=True, extra_s=30)
