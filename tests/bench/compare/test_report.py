"""The report's forms, of outcomes made up here."""

import json
import re
import unittest

import report
from experiments import LESS, MORE, Column, Experiment
from generator import Load
from rounds import Outcome

EXPERIMENT = Experiment("bulk TCP", Load("tcp", 8, 5, 1), [],
                        [Column("gbit_s", "Gbit/s", MORE), Column("cpu", "CPU-s a GB", LESS)],
                        left_out=["nginx"])
OUTCOMES = {
    "direct": Outcome([{"gbit_s": 20.0, "intact": 1}, {"gbit_s": 22.0, "intact": 1}]),
    "haproxy-splice": Outcome(failed="ended with 1: [ALERT] </script> cannot bind"),
    "tandem": Outcome([{"gbit_s": 16.0, "cpu": 0.5, "intact": 1},
                       {"gbit_s": 18.0, "cpu": 0.4, "intact": 0}]),
}
HEAD = {"started_at": "2026-01-31T12:00:00+00:00",
        "machine": {"kernel": "6.1.0", "cpu": "a CPU", "cores": 2},
        "versions": {"haproxy": "2.6.12"}, "rounds": 2, "seconds": 5, "interrupted": False}
ROWS = [{"target": "T1", "what": "ours / theirs", "must": 1.3, "aim": 1.6, "better": "more",
         "median": None, "low": None, "high": None, "values": [],
         "text": "haproxy-splice: cannot bind", "verdict": "not measured"}]


def made():
    return report.report_object(HEAD, [EXPERIMENT], {"bulk TCP": OUTCOMES}, ROWS)


class Object(unittest.TestCase):
    def test_has_what_the_page_reads(self):
        found = json.loads(json.dumps(made()))
        self.assertEqual(found["tool"], "bench/compare")
        [experiment] = found["experiments"]
        self.assertEqual(experiment["arguments"][:3], ["tcp", "-P", "8"])
        self.assertEqual(experiment["figures"][0],
                         {"key": "gbit_s", "label": "Gbit/s", "better": "more"})
        direct, haproxy, tandem = experiment["subjects"]
        self.assertEqual(direct["figures"], {"gbit_s": {"median": 21, "low": 20, "high": 22}})
        self.assertEqual((haproxy["failed"], haproxy["figures"], haproxy["runs"]),
                         (OUTCOMES["haproxy-splice"].failed, {}, []))
        self.assertEqual((tandem["damaged"], direct["damaged"]), (True, False))

    def test_experiments_that_did_not_begin_are_left_out(self):
        self.assertEqual(report.report_object(HEAD, [EXPERIMENT], {}, [])["experiments"], [])


class Text(unittest.TestCase):
    def test_rows(self):
        text = report.text(made(), [EXPERIMENT], {"bulk TCP": OUTCOMES})
        self.assertIn("without nginx", text)
        self.assertRegex(text, r"direct +21 \(20-22\)\n")
        self.assertRegex(text, r"haproxy-splice +failed: ended with 1: ")
        self.assertRegex(text, r"tandem +17 \(16-18\) +0.45 \(0.4-0.5\) +DAMAGED")
        self.assertRegex(text, r"T1 .*not measured: haproxy-splice: cannot bind")


class Page(unittest.TestCase):
    TEMPLATE = '<script type="application/json" id="report">/*REPORT*/null</script><p>'

    def test_holds_the_report_whatever_a_log_said(self):
        page = report.page(self.TEMPLATE, made())
        [held] = re.findall(r'id="report">(.*?)</script>', page)
        self.assertEqual(json.loads(held), json.loads(json.dumps(made())))

    def test_a_template_without_its_marker_is_refused(self):
        with self.assertRaises(ValueError):
            report.page("<p>", made())


if __name__ == "__main__":
    unittest.main()
