"""How a scenario is declared."""

import dataclasses
import typing

from lab.process import LabError

RELEASE, SANITIZE = "release", "sanitize"

# What may run side by side: light scenarios with each other, heavy ones (which fill the machine,
# and wait long enough to share it) with each other, and nothing beside one that measures time.
LIGHT, HEAVY, ALONE = "light", "heavy", "alone"


@dataclasses.dataclass
class Scenario:
    """A function that takes a Lab, and what the runner has to know about it."""
    function: typing.Callable
    builds: tuple
    workers: tuple     # CPU lists: the scenario runs once with each
    load: str          # LIGHT, HEAVY or ALONE
    timeout: float     # seconds after which the scenario counts as failed
    families: tuple    # the address families it can run over

    @property
    def area(self):
        return self.function.__module__.rpartition(".")[2].removeprefix("test_")

    @property
    def name(self):
        return f"{self.area}.{self.function.__name__}"


def scenario(builds=(RELEASE, SANITIZE), workers=((1,),), load=LIGHT, timeout=60.0,
             families=(4,)):
    """Marks a function of a test_*.py file as a scenario."""
    def mark(function):
        function.scenario = Scenario(function, builds, workers, load, timeout, families)
        return function
    return mark


def expect(condition, message):
    """An assertion that survives python -O and says what was seen."""
    if not condition:
        raise LabError(message)


def expect_equal(seen, wanted, what):
    expect(seen == wanted, f"{what}: {seen!r}, expected {wanted!r}")


def expect_in(part, text, what):
    expect(part in text, f"{what}: {part!r} is missing in:\n{text}")


def expect_within(seen, low, high, what):
    expect(low <= seen <= high, f"{what}: {seen}, expected {low} to {high}")


# Over both families; which case takes which, the runner says.
BOTH_FAMILIES = (4, 6)

# One worker, and two on a device with one queue, so that packets are handed over.
ONE_AND_TWO_WORKERS = ((1,), (0, 1))
