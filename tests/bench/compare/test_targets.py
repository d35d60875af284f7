"""Verdicts from outcomes made up here."""

import unittest

import experiments as e
import targets
from rounds import Outcome


def outcome(*runs, **common):
    return Outcome(runs=[{"intact": 1, **common, **run} for run in runs])


def bulk(ours=(15, 16, 17), theirs=10, direct=20, intact=1):
    def of(gbit_s, cpu):
        return {"throughput_gbit_s": gbit_s, "machine_cpu_s_per_gb": cpu}
    return {e.BULK_TCP: {
        "tandem": outcome(*(of(value, 0.6) for value in ours), intact=intact),
        "haproxy-splice": outcome(*[of(theirs, 0.9)] * 3),
        "direct": outcome(*[of(direct, 0.4)] * 3)}}


def rows(outcomes):
    return {row["target"]: row for row in targets.judge(outcomes, outcomes)}


class Verdicts(unittest.TestCase):
    def test_more_is_better(self):
        row = rows(bulk())["T1"]
        self.assertEqual((row["median"], row["low"], row["high"]), (1.6, 1.5, 1.7))
        self.assertEqual(row["verdict"], "aim")
        self.assertEqual(rows(bulk(ours=(14, 14, 14)))["T1"]["verdict"], "must")
        self.assertEqual(rows(bulk(ours=(12, 12, 12)))["T1"]["verdict"], "BELOW")

    def test_less_is_better(self):
        row = rows(bulk())["T2"]
        self.assertAlmostEqual(row["median"], 0.4)
        self.assertEqual((row["better"], row["verdict"]), ("less", "aim"))

    def test_damaged_traffic_reaches_nothing(self):
        self.assertEqual(rows(bulk(intact=0))["T1"]["verdict"], "DAMAGED")

    def test_only_targets_whose_tables_were_asked_for(self):
        self.assertEqual(list(rows(bulk())), ["T1", "T2", "T3"])

    def test_a_failed_peer_leaves_its_reason(self):
        outcomes = bulk()
        outcomes[e.BULK_TCP]["haproxy-splice"] = Outcome(failed="haproxy is not installed")
        found = rows(outcomes)
        self.assertEqual(found["T1"]["verdict"], "not measured")
        self.assertEqual(found["T1"]["text"], "haproxy-splice: haproxy is not installed")
        self.assertEqual(found["T3"]["verdict"], "BELOW" if found["T3"]["median"] < 0.8 else "must")

    def test_interrupted(self):
        self.assertEqual(rows({e.BULK_TCP: {}})["T1"]["verdict"], "not measured")

    def test_bytes_a_pair_are_above_the_empty_daemon(self):
        outcomes = {
            e.EMPTY_DAEMON: {"tandem": outcome({"resident_bytes_before": 1_000_000})},
            e.IDLE_UDP: {"tandem": outcome({"resident_bytes_after": 1_000_000 + 200_000 * 200,
                                            "pairs": 200_000})}}
        found = rows(outcomes)
        self.assertEqual((found["T9"]["median"], found["T9"]["verdict"]), (200, "must"))
        self.assertEqual((found["T10"]["median"], found["T10"]["verdict"]), (200_000, "must"))

    def test_silence_aims_at_no_wake_ups_too(self):
        def silent(switches):
            return {e.SILENCE: {"tandem": outcome({"quiet_relay_cpu_percent": 0,
                                                   "quiet_relay_switches_per_s": switches})}}
        self.assertEqual(rows(silent(0))["T12"]["verdict"], "aim")
        self.assertEqual(rows(silent(10))["T12"]["verdict"], "must")

    def test_coturn_is_compared_in_the_scattered_table(self):
        key = "packets_per_relay_cpu_s"
        found = rows({e.SCATTERED_UDP: {"tandem": outcome({key: 600_000}),
                                        "nginx": outcome({key: 300_000}),
                                        "coturn": outcome({key: 200_000})}})
        self.assertEqual((found["T6"]["median"], found["T7"]["median"]), (2, 3))


class Choice(unittest.TestCase):
    def test_tables_of_targets(self):
        self.assertEqual(targets.experiments_of(["T7", "T9"]),
                         {e.SCATTERED_UDP, e.EMPTY_DAEMON, e.IDLE_TCP, e.IDLE_UDP})
        self.assertEqual(targets.experiments_of([]), set())

    def test_the_room_services_are_said_to_be_elsewhere(self):
        with self.assertRaisesRegex(SystemExit, "T14; known: T1, .*room service"):
            targets.experiments_of(["T1", "T14"])

    def test_known(self):
        self.assertEqual(targets.known(), [*(f"T{number}" for number in range(1, 13)), "R3"])


if __name__ == "__main__":
    unittest.main()
