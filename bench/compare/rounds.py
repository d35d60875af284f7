"""How figures are taken: alternating rounds, the first dropped, medians with their spread. Knows
neither what is measured nor what would be good."""

import statistics
import sys
from dataclasses import dataclass, field

from processes import RunFailed, SubjectFailed

TRIES = 3  # of a run whose connections end early, which proxies do at times


@dataclass
class Outcome:
    """Of one subject: the summary of each counted round, and why there are no more."""
    runs: list = field(default_factory=list)
    failed: str | None = None

    @property
    def intact(self):
        return all(run.get("intact", True) for run in self.runs)


def _persistently(measure, subject):
    for left in reversed(range(TRIES)):
        try:
            return measure(subject)
        except RunFailed as failure:
            if left == 0:
                raise
            print(f"  {subject.name}, again: {failure}", file=sys.stderr)


def alternate(outcomes, subjects, measure, rounds, dropped=1, on_run=lambda *_: None,
              on_skip=lambda *_: None):
    """Fills in an Outcome for each subject, so that rounds that were counted are there whatever
    comes later. `measure(subject)` is one run's summary; who fails once takes no further part."""
    for subject in subjects:
        outcomes[subject.name] = Outcome()
    for number in range(1 - dropped, rounds + 1):
        for subject in subjects:
            outcome = outcomes[subject.name]
            if outcome.failed is not None:
                on_skip(subject)
                continue
            on_run(subject, number)
            try:
                run = _persistently(measure, subject)
            except SubjectFailed as failure:
                outcome.failed = str(failure)
            else:
                outcome.runs += [run] if number > 0 else []


class Figure:
    """The values of one figure, one a round."""

    def __init__(self, values):
        self.values = list(values)

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def low(self):
        return min(self.values)

    @property
    def high(self):
        return max(self.values)

    def __str__(self):
        text = [f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
                for value in (self.median, self.low, self.high)]
        return text[0] if len(self.values) == 1 else f"{text[0]} ({text[1]}-{text[2]})"


def figure(runs, key):
    """None where no run has it: not every subject has every figure."""
    values = [run[key] for run in runs if key in run]
    return Figure(values) if values else None


def ratio_by_round(ours, theirs, key):
    """Neighbours in time are compared, so that a slow minute of the machine hurts both."""
    return Figure(a[key] / b[key] for a, b in zip(ours, theirs) if b[key])


def added_by_round(ours, theirs, floors, key):
    """The same of what each adds to a floor; rounds in which the other added nothing say
    nothing."""
    return Figure((a[key] - floor[key]) / (b[key] - floor[key])
                  for a, b, floor in zip(ours, theirs, floors) if b[key] > floor[key])
