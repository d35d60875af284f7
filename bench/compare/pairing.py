"""Greetings: what the two ends of a pair say to a relay of another protocol, and what they wait
for, as the generator reads it; and those of magic-wormhole's transit relay."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Greeting:
    a: bytes
    b: bytes
    expect_a: bytes
    expect_b: bytes


def write(file, greetings):
    """One JSON object a line, bytes in hex."""
    lines = (json.dumps({key: value.hex() for key, value in asdict(greeting).items()})
             for greeting in greetings)
    file.write_text("".join(f"{line}\n" for line in lines))


def wormhole_greeting(token, side_a, side_b):
    def words(side):
        return f"please relay {token} for side {side}\n".encode()
    return Greeting(words(side_a), words(side_b), b"ok\n", b"ok\n")


@contextlib.contextmanager
def wormhole_greetings(port, folder, pairs):
    """Who knows the same token is a pair: nothing has to be asked of the relay before."""
    yield [wormhole_greeting(os.urandom(32).hex(), os.urandom(8).hex(), os.urandom(8).hex())
           for _ in range(pairs)]
