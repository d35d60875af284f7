"""The peers from Debian's packages that the generator can drive, each with its settings in
config/."""

import contextlib
import string

import pairing
import syncthing
from generator import Server
from processes import find_program, serving
from subjects import CONFIG, Subject, state_folder


def arguments_of(file, folder):
    """One a line, comments and empty lines left out, $folder filled in."""
    lines = (line.strip() for line in (CONFIG / file).read_text().splitlines())
    return [string.Template(line).substitute(folder=folder) for line in lines
            if line and not line.startswith("#")]


class Peer(Subject):
    """A program that listens on a port. `arguments` makes its own, given its state folder."""

    def __init__(self, name, program, package, port, arguments, transport="tcp"):
        self.name = name
        self.program = program
        self.package = package
        self.port = port
        self._arguments = arguments
        self._transport = transport

    def route(self, folder, load):
        raise NotImplementedError

    @contextlib.contextmanager
    def serve(self, cpu, load):
        program = find_program(self.program, self.package)
        with state_folder() as folder:
            command = [program, *self._arguments(folder)]
            with serving(self.name, command, cpu, folder, self.port, self._transport) as process, \
                    self.route(folder, load) as route:
                yield Server(self.name, route, process.pid)


class Proxy(Peer):
    """Forwards whatever comes to a sink that the generator opens: a port, or for UDP HOST:*, where
    it forwards each client to the port of its own number."""

    def __init__(self, name, program, package, port, sink, arguments, *, transport="tcp",
                 udp_sink=None):
        super().__init__(name, program, package, port, arguments, transport)
        self._sink = sink
        self._udp_sink = udp_sink or sink

    @contextlib.contextmanager
    def route(self, folder, load):
        sink = self._udp_sink if load.mode == "udp" else self._sink
        yield ("--via", f"127.0.0.1:{self.port}", "--sink", sink)


class PairingRelay(Peer):
    """Joins two connections that greeted it in its own protocol. `greetings` is a context that has
    one greeting a pair ready, given the port, the state folder and how many."""

    def __init__(self, name, program, package, port, arguments, greetings):
        super().__init__(name, program, package, port, arguments)
        self._greetings = greetings

    @contextlib.contextmanager
    def route(self, folder, load):
        with self._greetings(self.port, folder, load.pairs) as greetings:
            file = folder / "greetings"
            pairing.write(file, greetings)
            yield ("--pairing", f"127.0.0.1:{self.port}", "--greetings", file)


def _haproxy(name, port, sink):
    return Proxy(name, "haproxy", "haproxy", port, sink,
                 lambda folder: ["-db", "-f", CONFIG / f"{name}.cfg"])


def _nginx_arguments(folder):
    # Its log before it has read its configuration, too.
    return ["-e", "stderr", "-p", folder, "-c", CONFIG / "nginx-stream.conf",
            "-g", f"pid {folder}/nginx.pid;"]


HAPROXY_SPLICE = _haproxy("haproxy-splice", 18101, 18102)
HAPROXY_COPY = _haproxy("haproxy-copy", 18111, 18112)
NGINX = Proxy("nginx", "nginx", "nginx-light", 18201, 18202, _nginx_arguments,
              udp_sink="127.0.0.2:*")
SOCAT = Proxy("socat", "socat", "socat", 18301, 18302,
              lambda folder: arguments_of("socat.args", folder))
# For one pair: see its settings.
SOCAT_UDP = Proxy("socat", "socat", "socat", 18311, 18312,
                  lambda folder: arguments_of("socat-udp.args", folder), transport="udp")
SYNCTHING = PairingRelay("syncthing", "strelaysrv", "syncthing-relaysrv", 18501,
                         lambda folder: arguments_of("syncthing-relaysrv.args", folder),
                         syncthing.invitations)
WORMHOLE = PairingRelay("wormhole-transit", "twistd3", "magic-wormhole-transit-relay", 18601,
                        lambda folder: arguments_of("transit-relay.args", folder),
                        pairing.wormhole_greetings)
