"""Direct, and what every subject has: a name, and a run of a load against a server of its own."""

import contextlib
import pathlib
import tempfile

from generator import Server

CONFIG = pathlib.Path(__file__).resolve().parent / "config"


@contextlib.contextmanager
def state_folder():
    with tempfile.TemporaryDirectory(prefix="tandem-compare-") as name:
        yield pathlib.Path(name)


class Subject:
    """`serve(cpu, load)` is a context with a `Server` in it."""
    extra_s = 0.5  # that a run takes beside its load: what the time that is left is reckoned with

    def measure(self, generator, load, cpu):
        """A fresh server each time, since one that still holds the last run's sessions is
        slower."""
        with self.serve(cpu, load) as server:
            return generator.run(server, load)


class Direct(Subject):
    name = "direct"

    def measure(self, generator, load, cpu):
        """What there is of a relay's cost is nobody's."""
        summary = super().measure(generator, load, cpu)
        return {key: value for key, value in summary.items() if "relay" not in key}

    @contextlib.contextmanager
    def serve(self, cpu, load):
        yield Server(self.name, ("--direct",))
