"""A run of the comparison: its experiments one after the other, and what came of them."""

import datetime
import sys

import report
import targets
from generator import Generator
from progress import Progress
from rounds import alternate


class Comparison:
    def __init__(self, options, experiments):
        self.options = options
        self.experiments = experiments
        self.outcomes = {}
        self.interrupted = False
        self._server_cpu, load_cpu = options.cpus
        self._generator = Generator(options.build / "tandem-bench", load_cpu)
        now = datetime.datetime.now(datetime.timezone.utc)
        self._head = {"started_at": now.isoformat(timespec="seconds"),
                      "machine": report.machine(),
                      "versions": report.versions(options.build / "tandemd"),
                      "rounds": options.rounds, "seconds": options.seconds}

    def _rounds(self, experiment):
        """Those that count, and those that are dropped."""
        return (1, 0) if experiment.once else (self.options.rounds, 1)

    def run(self):
        progress = Progress(sum(sum(self._rounds(experiment)) * experiment.expected_s
                                for experiment in self.experiments))
        for number, experiment in enumerate(self.experiments, 1):
            title = f"{number}/{len(self.experiments)} {experiment.name}"
            self._run_one(experiment, progress, title)

    def _run_one(self, experiment, progress, title):
        rounds, dropped = self._rounds(experiment)
        outcomes = self.outcomes[experiment.name] = {}

        def measure(subject):
            return subject.measure(self._generator, experiment.load, self._server_cpu)

        def begin(subject, number):
            which = f"round {number} of {rounds}" if number else "a round to warm up"
            progress.begin(f"{title}: {which}, {subject.name}", experiment.run_s(subject))

        def skip(subject):
            progress.skip(experiment.run_s(subject))

        try:
            alternate(outcomes, experiment.subjects, measure, rounds, dropped, begin, skip)
        finally:
            progress.clear()
            print(report.experiment_text(experiment, outcomes) + "\n", flush=True)

    def conclude(self):
        """Prints and writes what there is; the rows of the targets."""
        rows = []
        if not self.options.peers and not self.options.modes:
            rows = targets.judge(self.outcomes, [each.name for each in self.experiments])
        found = report.report_object({**self._head, "interrupted": self.interrupted},
                                     self.experiments, self.outcomes, rows)
        print(report.targets_text(rows))
        written = self._write(found, report.text(found, self.experiments, self.outcomes))
        print(f"\nwritten: {', '.join(map(str, written))}")
        return rows

    def _write(self, found, text):
        contents = {self.options.json: report.json_text(found), self.options.text: text}
        if report.PAGE.exists():
            contents[self.options.html] = report.page(report.PAGE.read_text(), found)
        else:
            print(f"no page: {report.PAGE} is not there", file=sys.stderr)
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return list(contents)
