"""Who is run when, what a failure leaves, and the arithmetic of rounds."""

import contextlib
import io
import unittest
from types import SimpleNamespace

from processes import RunFailed, SubjectFailed
from progress import Progress
from rounds import TRIES, Figure, added_by_round, alternate, figure, ratio_by_round


def subjects(*names):
    return [SimpleNamespace(name=name) for name in names]


class Alternation(unittest.TestCase):
    def run_rounds(self, measure, rounds=2, dropped=1, names=("a", "b")):
        outcomes, order = {}, []

        def noted(subject):
            order.append(subject.name)
            return measure(subject, len(order))

        with contextlib.redirect_stderr(io.StringIO()):
            alternate(outcomes, subjects(*names), noted, rounds, dropped)
        return outcomes, "".join(order)

    def test_subjects_take_turns_and_the_first_round_is_dropped(self):
        outcomes, order = self.run_rounds(lambda subject, at: {"x": at})
        self.assertEqual(order, "ababab")
        self.assertEqual([run["x"] for run in outcomes["a"].runs], [3, 5])
        self.assertEqual([run["x"] for run in outcomes["b"].runs], [4, 6])

    def test_once(self):
        outcomes, order = self.run_rounds(lambda subject, at: {"x": at}, rounds=1, dropped=0)
        self.assertEqual(order, "ab")
        self.assertEqual(outcomes["a"].runs, [{"x": 1}])

    def test_who_fails_is_a_row_with_its_reason_and_the_others_go_on(self):
        def measure(subject, at):
            if subject.name == "b":
                raise SubjectFailed("b is not installed")
            return {"x": at}
        outcomes, order = self.run_rounds(measure, names=("a", "b", "c"))
        self.assertEqual(order, "abcacac")
        self.assertEqual(outcomes["b"].failed, "b is not installed")
        self.assertEqual(outcomes["b"].runs, [])
        self.assertEqual([len(outcomes[name].runs) for name in "ac"], [2, 2])

    def test_a_run_that_fails_is_tried_again(self):
        def measure(subject, at):
            if at == 3:
                raise RunFailed("a connection ended early")
            return {"x": at}
        outcomes, order = self.run_rounds(measure)
        self.assertEqual(order, "abaabab")
        self.assertIsNone(outcomes["a"].failed)

    def test_but_not_for_ever(self):
        def measure(subject, at):
            raise RunFailed("a connection ended early")
        outcomes, order = self.run_rounds(measure, names=("a",))
        self.assertEqual(order, "a" * TRIES)
        self.assertEqual(outcomes["a"].failed, "a connection ended early")

    def test_what_was_counted_is_kept_when_interrupted(self):
        outcomes = {}

        def measure(subject):
            if len(outcomes["b"].runs) == 1:
                raise KeyboardInterrupt
            return {"x": 1}

        with self.assertRaises(KeyboardInterrupt):
            alternate(outcomes, subjects("a", "b"), measure, 5)
        self.assertEqual([len(outcomes[name].runs) for name in "ab"], [1, 1])


class Figures(unittest.TestCase):
    def test_median_with_its_spread(self):
        self.assertEqual(str(Figure([3, 1, 2])), "2 (1-3)")
        self.assertEqual(str(Figure([12345.6])), "12,346")

    def test_ratios_are_of_the_same_round(self):
        ours, theirs = [{"x": 2}, {"x": 30}], [{"x": 1}, {"x": 10}]
        self.assertEqual(ratio_by_round(ours, theirs, "x").values, [2, 3])

    def test_a_round_that_one_lacks_or_that_has_nothing_counts_not(self):
        self.assertEqual(ratio_by_round([{"x": 2}, {"x": 3}], [{"x": 1}], "x").values, [2])
        self.assertEqual(ratio_by_round([{"x": 2}], [{"x": 0}], "x").values, [])

    def test_added_to_a_floor(self):
        runs = [[{"x": 3}, {"x": 9}], [{"x": 5}, {"x": 1}], [{"x": 1}, {"x": 2}]]
        self.assertEqual(added_by_round(*runs, "x").values, [0.5])

    def test_figures_that_a_subject_does_not_have(self):
        self.assertIsNone(figure([{"x": 1}], "y"))


class TimeLeft(unittest.TestCase):
    def test_is_corrected_by_what_was(self):
        now = [0.0]
        progress = Progress(100, clock=lambda: now[0], output=io.StringIO())
        progress.begin("one", 10)
        now[0] = 20
        self.assertEqual(progress.left_s, 180)
        progress.skip(40)
        self.assertEqual(progress.left_s, 100)


if __name__ == "__main__":
    unittest.main()
