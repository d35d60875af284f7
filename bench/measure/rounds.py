"""How figures are taken: alternating rounds, the first dropped, medians with their spread. Knows neither
what is measured nor what would be good."""

import json
import statistics
import subprocess
import sys

RUN_TIMEOUT_S = 300
FOREIGN_SHARE_MAX = 0.1  # of one core
EXIT_DAMAGED = 2
TRIES = 3  # of a run whose connections end early, which proxies do at times


class Bench:
    def __init__(self, program, server_cpu, load_cpu):
        self._program = str(program)
        self.server_cpu = server_cpu
        self._load_cpu = load_cpu

    def run(self, server, arguments):
        """One run against a running server: what tandem-bench reports, as a dict."""
        command = [self._program, *map(str, arguments), *server.route,
                   "--cpu", str(self._load_cpu), "--json"]
        for pid in server.pids():
            command += ["--pid", str(pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
        if done.returncode not in (0, EXIT_DAMAGED):
            raise RuntimeError(f"{server.name}: {' '.join(command)}\n{done.stderr}")
        report = json.loads(done.stdout)
        if report.get("foreign_cpu_s", 0) > FOREIGN_SHARE_MAX * report.get("wall_s", 0):
            print(f"  {server.name}: others used {report['foreign_cpu_s']:.1f} CPU-s during this run",
                  file=sys.stderr)
        return report

    def _run_afresh(self, subject, arguments):
        for left in reversed(range(TRIES)):
            with subject.serve(self.server_cpu) as server:
                try:
                    return self.run(server, arguments)
                except RuntimeError as failure:
                    if left == 0:
                        raise
                    print(f"  again: {failure}", file=sys.stderr)

    def alternate(self, subjects, arguments, rounds):
        """A report for each subject and counted round. Each run has a server of its own, since one that
        still holds the last run's sessions is slower."""
        reports = {subject.name: [] for subject in subjects}
        for number in range(rounds + 1):
            for subject in subjects:
                report = self._run_afresh(subject, arguments)
                if number > 0:
                    reports[subject.name].append(report)
        return reports


class Figure:
    """The values of one figure, one a round."""

    def __init__(self, values):
        self.values = list(values)

    @property
    def median(self):
        return statistics.median(self.values)

    def __str__(self):
        text = [f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
                for value in (self.median, min(self.values), max(self.values))]
        return text[0] if len(self.values) == 1 else f"{text[0]} ({text[1]}-{text[2]})"


def figure(reports, key):
    return Figure(report[key] for report in reports)


def ratio_by_round(ours, theirs, key):
    """Neighbours in time are compared, so that a slow minute of the machine hurts both."""
    return Figure(a[key] / b[key] for a, b in zip(ours, theirs) if b[key])


def intact(reports):
    return all(report["intact"] for report in reports)
