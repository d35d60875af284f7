"""Says what is being measured and how long the rest will take."""

import sys
import time

WIDTH = 100


class Progress:
    """Time left: what the runs to come were expected to take, corrected by how the past ones
    did."""

    def __init__(self, expected_s, clock=time.monotonic, output=sys.stderr):
        self._to_come_s = expected_s
        self._begun_s = 0
        self._clock = clock
        self._started = clock()
        self._output = output

    @property
    def left_s(self):
        elapsed_s = self._clock() - self._started
        correction = elapsed_s / self._begun_s if self._begun_s else 1
        return self._to_come_s * correction

    def begin(self, what, expected_s):
        """A run of `what` begins."""
        left_s = self.left_s
        self._to_come_s -= expected_s
        self._begun_s += expected_s
        self._say(f"{what}, {_minutes(left_s)} left")

    def skip(self, expected_s):
        self._to_come_s -= expected_s

    def _say(self, text):
        if self._output.isatty():
            print(f"\r  {text:<{WIDTH}}", end="", file=self._output, flush=True)
        else:
            print(f"  {text}", file=self._output, flush=True)

    def clear(self):
        """The line is free for what is printed next."""
        if self._output.isatty():
            print("\r" + " " * (WIDTH + 2), end="\r", file=self._output, flush=True)


def _minutes(seconds):
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 0):.0f} s"
