"""What the benchmark found: a result for each row, and the file that keeps them.

A row has contenders. One is Sluice; the others are peers, which do the same work and whose best
makes the ratio, or references, which are shown beside it for what they are (a floor, a server on the
kernel). Every contender has a value for each round, taken in turn, so that a ratio can also be had
round by round.
"""

import dataclasses
import enum
import json
import os
import statistics
import time

OURS = "sluice"


class Role(enum.Enum):
    """What a contender is to Sluice."""
    OURS = "ours"
    PEER = "peer"            # same work, same conditions: counts for the ratio
    REFERENCE = "reference"  # shown, and compared with only where a goal names it


class Better(enum.Enum):
    """Which way a unit is good."""
    LOWER = "lower"
    HIGHER = "higher"


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a row is meant to reach: so many times better than the best peer (or than `against`), or
    a value of its own."""
    times: float | None = None    # the other's cost by ours; where higher is better, ours by theirs
    against: str | None = None    # a contender; None: the best peer
    value: float | None = None    # in the row's unit: at most, or at least, by what is better
    also: "Goal | None" = None    # a second one, as good as required


@dataclasses.dataclass
class Contender:
    """One contender's rounds."""
    name: str
    role: Role
    values: list[float] = dataclasses.field(default_factory=list)
    # Further figures of each round, shown in the file and the page only: rate, its own threads'
    # time, part of the CPU that strangers used, ...
    details: list[dict] = dataclasses.field(default_factory=list)

    @property
    def median(self):
        return statistics.median(self.values)


@dataclasses.dataclass
class Result:
    """A row of the table."""
    name: str                 # full-p256
    title: str                # "new TLS 1.3 connection, full handshake, P-256, one GET of 1 KB"
    lab: str                  # "wire", "memory", "scaling"
    unit: str                 # "us of CPU", "Gbit/s", "bytes", "us"
    better: Better = Better.LOWER
    goal: Goal | None = None
    note: str = ""            # why a peer wins, what the figure cannot tell
    contenders: dict[str, Contender] = dataclasses.field(default_factory=dict)

    def add(self, name, value, role=Role.PEER, **details):
        """Adds a round of a contender; OURS is Sluice whatever the role says."""
        role = Role.OURS if name == OURS else role
        contender = self.contenders.setdefault(name, Contender(name, role))
        contender.values.append(value)
        contender.details.append(details)

    def best_peer(self):
        """The peer with the best median, or None."""
        peers = [c for c in self.contenders.values() if c.role is Role.PEER]
        if not peers:
            return None
        choose = min if self.better is Better.LOWER else max
        return choose(peers, key=lambda contender: contender.median)

    def times(self, other):
        """How many times better than another contender Sluice is, each round; beyond 1 it wins."""
        ours = self.contenders[OURS]
        pairs = zip(ours.values, other.values)
        if self.better is Better.LOWER:
            return [theirs / mine if mine else float("inf") for mine, theirs in pairs]
        return [mine / theirs if theirs else float("inf") for mine, theirs in pairs]

    def ratio(self):
        """The median of the rounds' ratios to the best peer, or None."""
        best = self.best_peer()
        if best is None or OURS not in self.contenders:
            return None
        return statistics.median(self.times(best))

    def reached(self, goal=None):
        """Whether the goal was reached; None where there is none, or Sluice was not measured."""
        goal = goal or self.goal
        if goal is None or OURS not in self.contenders:
            return None
        median = self.contenders[OURS].median
        good = True
        if goal.value is not None:
            good = median <= goal.value if self.better is Better.LOWER else median >= goal.value
        if goal.times is not None:
            other = self.contenders.get(goal.against) if goal.against else self.best_peer()
            good = good and other is not None and \
                statistics.median(self.times(other)) >= goal.times
        return good and (goal.also is None or self.reached(goal.also))

    def as_dict(self):
        """The row as results.json has it."""
        best = self.best_peer()
        return {
            "name": self.name, "title": self.title, "lab": self.lab, "unit": self.unit,
            "better": self.better.value, "note": self.note,
            "goal": dataclasses.asdict(self.goal) if self.goal else None,
            "reached": self.reached(), "best_peer": best.name if best else None,
            "ratio": self.ratio(),
            "contenders": {c.name: {"role": c.role.value, "median": c.median,
                                    "lowest": min(c.values), "highest": max(c.values),
                                    "values": c.values, "rounds": c.details}
                           for c in self.contenders.values()},
        }

    @staticmethod
    def from_dict(row):
        """The row that results.json holds."""
        def goal(of):
            return of and Goal(**{**of, "also": goal(of["also"])})
        result = Result(row["name"], row["title"], row["lab"], row["unit"], Better(row["better"]),
                        goal(row["goal"]), row["note"])
        for name, series in row["contenders"].items():
            result.contenders[name] = Contender(name, Role(series["role"]), series["values"],
                                                series["rounds"])
        return result


@dataclasses.dataclass
class Results:
    """A whole run, or what several runs of single rows left."""
    machine: dict
    rows: dict[str, Result] = dataclasses.field(default_factory=dict)
    taken: dict[str, str] = dataclasses.field(default_factory=dict)  # when, by row

    def add(self, result):
        """Adds a row, in place of an older one of its name."""
        self.rows[result.name] = result
        self.taken[result.name] = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())

    def write(self, path):
        """Writes the file whole or not at all."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as out:
            json.dump({"machine": self.machine, "taken": self.taken,
                       "rows": [row.as_dict() for row in self.rows.values()]}, out, indent=2)
            out.write("\n")
        os.replace(path + ".new", path)

    @staticmethod
    def read(path):
        """What write() wrote."""
        with open(path, encoding="utf-8") as source:
            data = json.load(source)
        rows = [Result.from_dict(row) for row in data["rows"]]
        return Results(data["machine"], {row.name: row for row in rows}, data["taken"])
