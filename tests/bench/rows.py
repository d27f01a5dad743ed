"""What a run of the benchmark is made of: rows, which measure and yield results.

A module of rows exports ROWS; tests/bench/run collects them and knows nothing else of what is
measured.
"""

import dataclasses
import os
import typing

from bench.progress import Progress
from bench.results import Result
from lab.process import LabError


@dataclasses.dataclass(frozen=True)
class Row:
    """What `make bench BENCH=name` runs: one measurement, which may have several results."""
    name: str
    title: str
    lab: str                                  # the group, which BENCH takes as well
    measure: typing.Callable[["Run"], typing.Iterable[Result]]
    targets: tuple[str, ...] = ("sluice",)    # what has to be built for it
    by_name: bool = False                     # measured only where BENCH names it, not its lab


@dataclasses.dataclass
class Run:
    """How a row is to be measured."""
    rounds: int
    quick: bool
    build: str                                # where the programs are
    out: str                                  # where files for the reader go
    progress: Progress
    only: tuple[str, ...] = ()                # contenders; none: all

    def scale(self, full, quick):
        """Sizes for a full run and for a short pass."""
        return quick if self.quick else full

    def wanted(self, names):
        """Those of the contenders that this run is for."""
        return [name for name in names if not self.only or name in self.only]

    def turns(self, names):
        """(round, contender), alternately, so that what the machine does to one it does to all."""
        names = self.wanted(names)
        for number in range(1, self.rounds + 1):
            for name in names:
                self.progress.step(f"round {number} of {self.rounds}, {name}")
                yield number, name

    def program(self, *path):
        """A program of the tree's."""
        program = os.path.join(self.build, *path)
        if not os.access(program, os.X_OK):
            raise LabError(f"{program} was not built")
        return program
