"""What turnutils_uclient 4.6.1 printed, and what is made of it."""

import unittest

import turn
from processes import RunFailed
from turn import ClientReport, Count, Sample

RECORDED = """\
0: : Total connect time is 2
0: : start_mclient: msz=20, tot_send_msgs=0, tot_recv_msgs=0, tot_send_bytes ~ 0, tot_recv_bytes ~ 0
9: : start_mclient: msz=20, tot_send_msgs=18708, tot_recv_msgs=18703, tot_send_bytes ~ 3741600, \
tot_recv_bytes ~ 3740600
11: : start_mclient: msz=20, tot_send_msgs=19960, tot_recv_msgs=19959, tot_send_bytes ~ 3992000, \
tot_recv_bytes ~ 3991800
11: : start_mclient: tot_send_msgs=20000, tot_recv_msgs=19990
11: : start_mclient: tot_send_bytes ~ 4000000, tot_recv_bytes ~ 3998000
11: : Total transmit time is 11
11: : Total lost packets 10 (0.050000%), total send dropped 3 (0.014998%)
11: : Average round trip delay 2.250000 ms; min = 0 ms, max = 5 ms
11: : Average jitter 1.397050 ms; min = 0 ms, max = 7 ms
"""


class Parsing(unittest.TestCase):
    def test_report(self):
        self.assertEqual(turn.parse_report(RECORDED), ClientReport(
            sent=20000, received=19990, lost=10, dropped=3, round_trip_ms=2.25,
            round_trip_max_ms=5))

    def test_progress(self):
        counts = [turn.progress_of(line) for line in RECORDED.splitlines()]
        self.assertEqual([count for count in counts if count],
                         [Count(0, 0), Count(18708, 18703), Count(19960, 19959)])

    def test_no_report_is_a_failure_with_its_words(self):
        with self.assertRaisesRegex(RunFailed, "Cannot complete Allocation"):
            turn.parse_report("ERROR: Cannot complete Allocation\n")


class Summary(unittest.TestCase):
    def test_each_message_that_arrived_crossed_the_relay_twice(self):
        summary = turn.summary(Sample(Count(1000, 900), cpu_s=1.0, at_s=10),
                               Sample(Count(101_000, 100_900), cpu_s=2.0, at_s=12),
                               ClientReport(sent=200_000, received=199_000, lost=1000))
        self.assertEqual(summary["packets_per_relay_cpu_s"], 200_000)
        self.assertEqual(summary["relay_cpu_s_per_million"], 5)
        self.assertEqual(summary["delivered_kpps"], 100)
        self.assertEqual(summary["lost_fraction"], 0.005)
        self.assertEqual(summary["intact"], 1)

    def test_nothing_arrived(self):
        summary = turn.summary(Sample(Count(0, 0), 1.0, 10), Sample(Count(100, 0), 1.0, 12),
                               ClientReport(sent=100, received=0, lost=100))
        self.assertEqual(summary["packets_per_relay_cpu_s"], 0)
        self.assertEqual(summary["intact"], 0)


class Timing(unittest.TestCase):
    def wanted_at(self, seconds):
        """When samples are taken of a client that counts every second and was connected at 100."""
        samples, at = [], []
        for now in range(100, 120):
            if turn._wanted(samples, 100, seconds, now):
                samples.append(Sample(Count(0, 0), 0, now))
                at.append(now)
        return at

    def test_samples_begin_when_all_clients_send(self):
        self.assertEqual(self.wanted_at(2), [106, 108])
        self.assertEqual(self.wanted_at(5), [106, 111])


if __name__ == "__main__":
    unittest.main()
