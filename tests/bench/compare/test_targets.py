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

    def test_room_events_count_where_each_is_best(self):
        def run(events, p95_us=1_000, errors=0):
            return outcome({"events_per_server_cpu_s": events, "message_p95_us": p95_us,
                            "errors": errors})
        slow, fast, *beyond = targets.ROOM_EVENTS

        def verdict(ours):
            rest = {each: {"tandem": run(900_000, p95_us=200_000), "npm socket.io": Outcome(
                failed="it was too much")} for each in beyond}
            return rows({slow: {"tandem": run(30_000), "npm socket.io": run(20_000)},
                         fast: {"tandem": ours, "npm socket.io": run(10_000)}, **rest})["T14"]
        self.assertEqual(verdict(run(240_000))["verdict"], "aim")
        self.assertEqual(verdict(run(240_000))["median"], 12)
        for bad in (run(240_000, errors=1), run(240_000, p95_us=100_001)):
            self.assertEqual(verdict(bad)["median"], 1.5)
            self.assertEqual(verdict(bad)["verdict"], "BELOW")

    def test_matches_that_were_not_all_held_reach_nothing(self):
        def matches(held):
            run = {"matches": 2000, "matches_held": held, "errors": 0, "create_p95_us": 4_000,
                   "join_p95_us": 4_000, "message_p95_us": 4_000}
            return targets.judge({e.MATCHES: {"tandem": outcome(run)}}, [e.MATCHES])
        self.assertEqual([(row["median"], row["verdict"]) for row in matches(2000)],
                         [(4, "aim"), (4, "aim"), (4, "must")])
        self.assertEqual([row["verdict"] for row in matches(1999)], ["BELOW"] * 3)

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

    def test_what_is_measured_elsewhere_is_said_to_be(self):
        with self.assertRaisesRegex(SystemExit, "R5; known: T1, .*are tests"):
            targets.experiments_of(["T1", "R5"])

    def test_known(self):
        self.assertEqual(targets.known(), [*(f"T{number}" for number in range(1, 17)), "R3"])


if __name__ == "__main__":
    unittest.main()
