"""The arithmetic of results, and the file that keeps them."""

import io
import os
import sys
import tempfile
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, TESTS)

# pylint: disable=wrong-import-position
from bench import machine
from bench.progress import Progress
from bench.results import Better, Goal, Result, Results, Role
from bench.rows import Run


def result(better=Better.LOWER, goal=None, **values):
    """A result of contenders' rounds; `ref` is a reference."""
    made = Result("row", "a row", "wire", "us", better, goal)
    for name, rounds in values.items():
        for value in rounds:
            made.add(name, value, Role.REFERENCE if name == "ref" else Role.PEER, rate=1)
    return made


class ResultTest(unittest.TestCase):
    def test_ratio_is_the_median_of_the_rounds(self):
        # Two rounds of three were twice as dear for everybody.
        row = result(sluice=[10, 20, 20], nginx=[20, 44, 40], haproxy=[30, 60, 60])
        self.assertEqual(row.best_peer().name, "nginx")
        self.assertAlmostEqual(row.ratio(), 2.0)

    def test_higher_may_be_better(self):
        row = result(Better.HIGHER, sluice=[30], nginx=[10], haproxy=[15])
        self.assertEqual(row.best_peer().name, "haproxy")
        self.assertAlmostEqual(row.ratio(), 2.0)

    def test_a_reference_is_no_peer(self):
        row = result(sluice=[10], nginx=[20], ref=[1])
        self.assertEqual(row.best_peer().name, "nginx")
        self.assertEqual(row.as_dict()["contenders"]["ref"]["role"], "reference")

    def test_without_peers_or_sluice_there_is_no_ratio(self):
        self.assertIsNone(result(sluice=[1]).ratio())
        self.assertIsNone(result(nginx=[1]).ratio())
        self.assertIsNone(result(goal=Goal(times=2), nginx=[1]).reached())

    def test_goals(self):
        row = result(sluice=[10], nginx=[20], ref=[11])
        for goal, reached in ((Goal(times=2.0), True), (Goal(times=2.1), False),
                              (Goal(value=10), True), (Goal(value=9), False),
                              (Goal(times=1.1, against="ref"), True),
                              (Goal(times=1.1, against="absent"), False),
                              (Goal(times=2, value=9), False),
                              (Goal(times=2, also=Goal(value=10)), True),
                              (Goal(times=2, also=Goal(value=9)), False)):
            with self.subTest(goal):
                self.assertEqual(row.reached(goal), reached)

    def test_the_file_brings_back_what_it_was_given(self):
        row = result(goal=Goal(times=2, also=Goal(value=3)), sluice=[1, 2], nginx=[3, 5], ref=[2, 2])
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "deep", "results.json")
            results = Results({"cpu": "one"})
            results.add(result(sluice=[9]))
            results.add(row)
            results.write(path)
            again = Results.read(path)
        self.assertEqual(again.machine, {"cpu": "one"})
        self.assertEqual([r.as_dict() for r in again.rows.values()], [row.as_dict()])
        self.assertEqual(again.taken.keys(), {"row"})


class RunTest(unittest.TestCase):
    def test_turns_alternate(self):
        said = io.StringIO()
        run = Run(2, False, "", "", Progress(1, said), only=("a", "c"))
        self.assertEqual(list(run.turns(["a", "b", "c"])),
                         [(1, "a"), (1, "c"), (2, "a"), (2, "c")])
        self.assertIn("round 2 of 2, c", said.getvalue())

    def test_machines_differ_by_all_but_our_version(self):
        facts = {"cpu": "x", "nginx": "1.22.1", "sluice": "abc"}
        self.assertTrue(machine.same(facts, {**facts, "sluice": "def"}))
        self.assertFalse(machine.same(facts, {**facts, "nginx": "1.26"}))


if __name__ == "__main__":
    unittest.main()
