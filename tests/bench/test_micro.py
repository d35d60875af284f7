"""Every micro benchmark runs once, and bench/micro/run makes figures of them."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["TANDEM_BUILD"])
PROGRAM = BUILD / "bench/micro/micro_bench"
RUN = ROOT / "bench/micro/run"

# What figures are compared by from one version to the next: a name that goes must be missed.
TABLES = (1000, 100000, 1000000)
NAMES = {
    *(f"token/judge/{case}" for case in ("right", "bad_mac", "unknown_key")),
    "token/prove", "token/parse_text", "token/mint",
    *(f"session_table/{what}/{size}" for what in ("find", "find_absent", "close_open")
      for size in TABLES),
    *(f"session_table/find_path/{size}/{batch}" for size in TABLES for batch in (1, 64)),
    *(f"core/data/{sessions}/{batch}" for sessions in (1, 1000, 100000) for batch in (1, 8, 64)),
    "core/train", "core/challenge", "core/stun", "core/bind",
    *(f"core/chunk/{lanes}" for lanes in (1, 1000, 16000)),
    "rate_bucket/one", "rate_bucket/over", "rate_bucket/available_and_charge",
    "rate_bucket/many/1000", "rate_bucket/many/1000000",
    "source_budgets/1", "source_budgets/1048576", "shared_budgets",
    *(f"stun/binding/{case}" for case in ("v4", "v6", "fingerprint")),
    *(f"timer_wheel/{what}/{size}" for what in ("schedule", "fire") for size in TABLES),
    "spsc_ring/push_pop/8_bytes", "spsc_ring/push_pop/message",
    "spsc_ring/two_threads/real_time/threads:2",
    "counters/add", "counters/add_to_array", "counters/read",
    *(f"siphash13/{size}" for size in (8, 16, 64)),
    "cookie/make", "cookie/judge/valid", "cookie/judge/forged",
    "blocklist/judge/0/0", "blocklist/judge/8192/0", "blocklist/judge/0/256",
}


def run(*arguments):
    return subprocess.run([RUN, "--build", BUILD, "--repetitions", "2", "--min-time", "0.001",
                           *arguments], capture_output=True, text=True, timeout=120)


class MicroTest(unittest.TestCase):
    def test_every_benchmark_runs(self):
        done = subprocess.run([PROGRAM, "--benchmark_min_time=0.001", "--benchmark_format=json"],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {row["name"]: row for row in json.loads(done.stdout)["benchmarks"]}
        self.assertEqual(NAMES - rows.keys(), set())
        for name, row in rows.items():
            with self.subTest(name):
                self.assertFalse(row.get("error_occurred"), row.get("error_message"))
                self.assertGreater(row["items_per_second"], 0)

    def test_run_tells_times(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "micro.json")
            done = run("--filter", "^counters/", "--no-instructions", "--json", out)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(out.read_text())
        self.assertIsNone(report["instructions_by"])
        self.assertEqual([row["name"] for row in report["benchmarks"]],
                         ["counters/add", "counters/add_to_array", "counters/read"])
        for row in report["benchmarks"]:
            self.assertIn(row["name"], done.stdout)
            ns = row["ns"]
            self.assertEqual(len(ns["values"]), 2)
            self.assertTrue(0 < ns["low"] <= ns["median"] <= ns["high"])

    def test_run_fails_without_a_benchmark(self):
        done = run("--filter", "^no such thing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no benchmark matches", done.stderr)

    @unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
    def test_run_counts_instructions(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "micro.json")
            # One that is nothing but its loop, and one whose set-up is far more than that.
            done = run("--filter", "^(counters/add|session_table/find/1000)$", "--json", out)
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(out.read_text())
        self.assertIn(report["instructions_by"], ("perf", "callgrind"))
        counts = {row["name"]: row["instructions"] for row in report["benchmarks"]}
        self.assertTrue(3 <= counts["counters/add"] <= 20, counts)
        self.assertTrue(20 <= counts["session_table/find/1000"] <= 1000, counts)


if __name__ == "__main__":
    unittest.main()
