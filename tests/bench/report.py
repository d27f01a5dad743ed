"""What the benchmark found, for people: the table on the terminal, the one in the README, the page.

    tests/bench/report.py [--readme] [build/bench/results.json]

writes report.html beside the results and prints the table; --readme puts the table into README.md, too.
"""

import argparse
import os
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

# pylint: disable=wrong-import-position
from bench.page import page
from bench.results import OURS, Better, Results, Role

README = os.path.join(TOP, "README.md")
BEGIN, END = "<!-- figures: tests/bench/report.py --readme -->", "<!-- end of figures -->"

LABS = {
    "wire": "Wire lab: client, proxy and servers on veth, MTU 1500, the proxy alone on a CPU",
    "memory": "Memory lab: client and servers on our stack, joined by shared memory, no kernel between",
    "scaling": "Scaling",
    "path": "Long, lossy paths: our TCP and the kernel's",
    "programs": "Programs on the stack: code inside its thread and beside it",
}
NAMES = {"kernel": "Linux", "dpdk": "DPDK", "openssl": "OpenSSL", "haproxy": "HAProxy",
         "nginx": "nginx", "hitch": "hitch"}
IN_README = ("wire", "memory", "scaling")


def number(value):
    """Three digits that say something; thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 \
        else f"{value:.0f}"


def goal_text(result, goal=None):
    """The goal in words, or nothing."""
    goal = goal or result.goal
    if goal is None:
        return ""
    parts = []
    if goal.times is not None:
        parts.append(f"{number(goal.times)}×" + (f" of {goal.against}" if goal.against else ""))
    if goal.value is not None:
        sign = "≤" if result.better is Better.LOWER else "≥"
        parts.append(f"{sign} {number(goal.value)} {result.unit}")
    if goal.also is not None:
        parts.append(goal_text(result, goal.also))
    return ", ".join(parts)


def verdict(result):
    """Whether the goal was reached, in a word."""
    return {True: "reached", False: "missed", None: ""}[result.reached()]


def beside(result):
    """Whom a row shows beside Sluice: the best peer, else the first of the references."""
    return result.best_peer() or next((c for c in result.contenders.values()
                                       if c.role is Role.REFERENCE), None)


def cells(result):
    """A row's cells: title, unit, Sluice, best peer, how many times better, goal, verdict."""
    ours, best, ratio = result.contenders.get(OURS), beside(result), result.ratio()
    return [result.title, result.unit, number(ours.median) if ours else "-",
            f"{number(best.median)} ({best.name})" if best else "-",
            f"{ratio:.2f}" if ratio is not None else "-", goal_text(result), verdict(result)]


HEAD = ["", "unit", "Sluice", "best peer, or reference", "times better", "goal", ""]


def by_lab(results, labs=tuple(LABS)):
    """The rows of each laboratory, in its order: (heading, rows)."""
    for lab in labs:
        rows = [row for row in results.rows.values() if row.lab == lab]
        if rows:
            yield LABS[lab], rows


def terminal(results):
    """The table for a terminal, the other contenders below each row."""
    lines = []
    for heading, rows in by_lab(results):
        lines += ["", heading, ""]
        for result in rows:
            _, unit, ours, best, ratio, goal, word = cells(result)
            lines.append(f"  {result.title}")
            lines.append(f"    Sluice {ours} {unit}, best peer {best}, {ratio} times better"
                         + (f", goal {goal}: {word}" if goal else ""))
            spread = ", ".join(f"{c.name} {number(min(c.values))} to {number(max(c.values))}"
                               for c in result.contenders.values())
            lines.append(f"    rounds: {spread}")
            if result.note:
                lines.append(f"    {result.note}")
    return "\n".join(lines)


def markdown(results):
    """The table for the README."""
    lines = []
    for heading, rows in by_lab(results, IN_README):
        lines += [f"**{heading}**", "", "| " + " | ".join(HEAD) + " |",
                  "|---|---|--:|--:|--:|---|---|"]
        lines += ["| " + " | ".join(cells(result)) + " |" for result in rows]
        lines.append("")
    machine = results.machine
    rounds = min((len(result.contenders[OURS].values) for result in results.rows.values()
                  if result.lab in IN_README and OURS in result.contenders), default=0)
    versions = ", ".join(f"{NAMES[name]} {machine[name]}" for name in NAMES if name in machine)
    lines.append(f"Medians of {rounds} rounds or more, taken in turn on {machine.get('cpu')} with "
                 f"{versions}; {max(results.taken.values(), default='')[:10]}.")
    return "\n".join(lines)


def into_readme(text, path=README):
    """Puts the table where the README has its place for it."""
    with open(path, encoding="utf-8") as source:
        readme = source.read()
    pattern = re.escape(BEGIN) + r".*?" + re.escape(END)
    if len(re.findall(pattern, readme, re.S)) != 1:
        sys.exit(f"report: {path} has no place for the figures ({BEGIN} ... {END})")
    with open(path, "w", encoding="utf-8") as out:
        out.write(re.sub(pattern, lambda _: f"{BEGIN}\n\n{text}\n\n{END}", readme, flags=re.S))


def write(results, folder):
    """Writes report.html; returns its path."""
    path = os.path.join(folder, "report.html")
    with open(path, "w", encoding="utf-8") as out:
        out.write(page(results, list(by_lab(results)), goal_text, verdict, number))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("results", nargs="?",
                        default=os.path.join(TOP, "build", "bench", "results.json"))
    arguments = parser.parse_args()
    results = Results.read(arguments.results)
    print(terminal(results))
    print("\nwritten to", write(results, os.path.dirname(arguments.results)))
    if arguments.readme:
        into_readme(markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
