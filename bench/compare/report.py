"""One report of a comparison: text, JSON and a page."""

import json
import os
import pathlib
import platform
import subprocess

from rounds import figure

PAGE = pathlib.Path(__file__).resolve().parents[1] / "report" / "page.html"
MARKER = "/*REPORT*/null"
PACKAGES = ("haproxy", "nginx", "coturn", "syncthing-relaysrv", "magic-wormhole-transit-relay",
            "socat", "nodejs")


def machine():
    model = next((line.partition(":")[2].strip() for line in
                  pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"kernel": platform.release(), "cpu": model, "cores": os.cpu_count()}


def versions(daemon):
    """Of what is installed here."""
    found = {}
    for package in PACKAGES:
        asked = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", package],
                               capture_output=True, text=True)
        status, _, version = asked.stdout.partition(" ")
        if status == "installed":
            found[package] = version
    if daemon.exists():
        found["tandem"] = subprocess.run([daemon, "--version"], capture_output=True,
                                         text=True).stdout.strip()
    return found


# ---- JSON ----

def _figures(experiment, outcome):
    figures = {}
    for column in experiment.columns:
        if value := figure(outcome.runs, column.key):
            figures[column.key] = {"median": value.median, "low": value.low, "high": value.high}
    return figures


def _subject(experiment, name, outcome):
    return {"name": name, "failed": outcome.failed, "damaged": not outcome.intact,
            "runs": outcome.runs, "figures": _figures(experiment, outcome)}


def experiment_object(experiment, outcomes):
    return {"name": experiment.name, "arguments": experiment.load.arguments(),
            "left_out": experiment.left_out,
            "figures": [{"key": column.key, "label": column.label, "better": column.better}
                        for column in experiment.columns],
            "subjects": [_subject(experiment, name, outcome) for name, outcome in outcomes.items()]}


def report_object(head, experiments, outcomes, rows):
    """`head` has what the schema has beside experiments and targets."""
    return {"tool": "bench/compare", **head,
            "experiments": [experiment_object(experiment, outcomes[experiment.name])
                            for experiment in experiments if experiment.name in outcomes],
            "targets": rows}


def json_text(report):
    return json.dumps(report, indent=1) + "\n"


# ---- text ----

def experiment_text(experiment, outcomes):
    lines = [f"{experiment.name}: tandem-bench {' '.join(experiment.load.arguments())}"]
    if experiment.left_out:
        lines.append(f"  without {', '.join(experiment.left_out)}")
    table = [["", *(column.label for column in experiment.columns)]]
    table += [[name, *_cells(experiment, outcome)] for name, outcome in outcomes.items()]
    return "\n".join(lines + _aligned(table))


def _cells(experiment, outcome):
    if outcome.failed is not None:
        return [f"failed: {outcome.failed}"]
    if not outcome.runs:
        return ["interrupted"]
    cells = [str(figure(outcome.runs, column.key) or "") for column in experiment.columns]
    return cells if outcome.intact else [*cells, "DAMAGED"]


def _aligned(table):
    """Columns as wide as their widest cell, figures to the right; a row of one cell is a
    sentence."""
    columns = len(table[0])
    rows = [row for row in table if len(row) >= columns]
    widths = [max(len(row[at]) for row in rows) for at in range(columns)]
    widths[0] = max(len(row[0]) for row in table)
    lines = []
    for name, *cells in table:
        if len(cells) + 1 >= columns:
            figures = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:])]
            cells = figures + cells[columns - 1:]
        lines.append("  " + "   ".join([f"{name:{widths[0]}}", *cells]).rstrip())
    return lines


def targets_text(rows):
    if not rows:
        return ""
    lines = [f"{'':5}{'':58}{'measured':>28}{'must':>10}{'aim':>11}"]
    for row in rows:
        measured = row["median"] is not None
        lines.append(f"{row['target']:5}{row['what']:58}{row['text'] if measured else '':>28}"
                     f"{row['must']:>10,}{row['aim']:>11,}  {row['verdict']}"
                     + ("" if measured else f": {row['text']}"))
    return "\n".join(lines)


def head_text(report):
    named = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    of = report["machine"]
    return (f"{report['started_at']}, {of['cpu']}, {of['cores']} cores, Linux {of['kernel']}\n"
            f"{named}\n{report['rounds']} rounds of {report['seconds']:g} s"
            + (", interrupted" if report["interrupted"] else ""))


def text(report, experiments, outcomes):
    tables = [experiment_text(experiment, outcomes[experiment.name])
              for experiment in experiments if experiment.name in outcomes]
    parts = [head_text(report), *tables, targets_text(report["targets"])]
    return "\n\n".join(parts).rstrip() + "\n"


# ---- page ----

def page(template, report):
    """The template with the report in it; `</` would end the script element that holds it."""
    if template.count(MARKER) != 1:
        raise ValueError(f"the page has {template.count(MARKER)} times {MARKER}, not once")
    return template.replace(MARKER, json.dumps(report).replace("</", "<\\/"))
