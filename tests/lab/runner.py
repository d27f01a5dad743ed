"""Finds scenarios and runs each in a process of its own."""

import concurrent.futures
import glob
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import traceback

from lab.network import remove_leftovers, require_root
from lab.report import Report
from lab.scenario import ALONE, HEAVY, LIGHT, RELEASE, Scenario
from lab.topology import Lab

_COUNTER_LINE = re.compile(r"^(worker \d+ .*|.*\bcounters: .*)\n", re.MULTILINE)

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TOP = os.path.dirname(TESTS)


# What these drive has unit tests and fuzz targets under the sanitizers; it is not run there again.
NOT_SANITIZED = {"capture", "classes", "config", "control", "devices", "examples", "jumbo",
                 "lifecycle", "metrics", "privileges", "programs", "session_log", "tcp_settings"}

FULL = os.environ.get("FULL") == "1"

# How many for each CPU; alone is alone.
SIDE_BY_SIDE = {LIGHT: 2, HEAVY: 1, ALONE: 0}


class Case:
    """A scenario with one list of workers, over one address family."""

    def __init__(self, scenario, workers, family):
        self.scenario = scenario
        self.workers = workers
        self.family = family
        several = len(scenario.workers) > 1
        self.name = scenario.name + (f"[workers={len(workers)}]" if several else "") + \
            ("[ipv6]" if family == 6 else "")

    def builds(self):
        """Those that run it unasked."""
        if RELEASE in self.scenario.builds and self.scenario.area in NOT_SANITIZED:
            return (RELEASE,)
        return self.scenario.builds

    def wanted(self, build, patterns=()):
        """The optimised build runs over IPv4, the sanitizers' over IPv6, each with the last list of
        workers; what only one of them runs, it runs over both. Patterns take all that they name,
        FULL=1 takes all."""
        if patterns or FULL:
            return build in self.scenario.builds and \
                (not patterns or any(pattern in self.name for pattern in patterns))
        first = self.scenario.families[0 if build == RELEASE else -1]
        return build in self.builds() and self.workers == self.scenario.workers[-1] and \
            (self.family == first or len(self.builds()) == 1)


def discover(area="*"):
    """All cases of the test_*.py files, or of one, in the order of the files' text. Files may count on
    the family of their cases, so that one over IPv6 is looked for in its own file only."""
    cases = []
    for path in sorted(glob.glob(os.path.join(TESTS, "scenario", f"test_{area}.py"))):
        name = os.path.basename(path).removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for thing in vars(module).values():
            declared = getattr(thing, "scenario", None)
            if isinstance(declared, Scenario):
                cases += [Case(declared, workers, family) for workers in declared.workers
                          for family in declared.families]
    return cases


def binary_of(build):
    return os.path.join(TOP, "build", build, "appliance", "sluice")


def _interrupted(number, _frame):
    raise KeyboardInterrupt(f"signal {number}")


def describe(sluice):
    """After a failure: the daemon's log, and what it has counted."""
    if sluice is None or sluice.process is None:
        return
    print("---- the daemon's log, without reports of counters")
    print(_COUNTER_LINE.sub("", sluice.process.log())[-6000:])
    if sluice.process.running():
        counted = {name: value for name, value in sluice.counters().items() if value}
        print("---- its counters now\n" + ", ".join(f"{n} {v}" for n, v in counted.items()))


def run_one(name, binary, build):
    """In the child: runs one case; the exit status tells the result."""
    signal.signal(signal.SIGTERM, _interrupted)
    case = next(case for case in discover(name.partition(".")[0]) if case.name == name)
    lab = Lab(binary, sanitized=build == "sanitize", workers=case.workers)
    try:
        with lab:
            try:
                case.scenario.function(lab)
            except BaseException:
                describe(lab.sluice)
                raise
    except BaseException:  # pylint: disable=broad-except
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


def run_case(case, binary, build):
    """Runs a case in a child; returns (passed, its output, seconds)."""
    environment = {**os.environ, "LAB_FAMILY": str(case.family)}
    command = [sys.executable, os.path.join(TESTS, "scenario", "run"), "--one", case.name,
               "--build", build, "--binary", binary]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env=environment) as child:
        try:
            output, _ = child.communicate(timeout=case.scenario.timeout)
        except subprocess.TimeoutExpired:
            child.terminate()
            try:
                output, _ = child.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                output, _ = child.communicate()
            output += f"\nno end within {case.scenario.timeout:g} s"
    remove_leftovers(str(child.pid))
    return child.returncode == 0, output, time.monotonic() - started


def run_all(report, build, binary=None, patterns=(), jobs=2):
    """Runs the selected cases, side by side as far as their loads allow: light ones wait more than
    they work."""
    binary = os.path.abspath(binary or binary_of(build))
    cases = [case for case in discover() if case.wanted(build, patterns)]
    if not os.access(binary, os.X_OK):
        report.fail(f"scenarios [{build}]", f"{binary} is not there; build it first")
        return
    for load in (LIGHT, HEAVY, ALONE):
        group = [case for case in cases if case.scenario.load == load]
        with concurrent.futures.ThreadPoolExecutor(jobs * SIDE_BY_SIDE[load] or 1) as pool:
            futures = {pool.submit(run_case, case, binary, build): case for case in group}
            for future in concurrent.futures.as_completed(futures):
                passed, output, seconds = future.result()
                name = f"scenario {futures[future].name} [{build}]"
                if passed:
                    report.ok(name, seconds)
                else:
                    report.fail(name, output, seconds)


def main(arguments):
    """The command line of tests/scenario/run."""
    require_root()
    if arguments.one:
        return run_one(arguments.one, arguments.binary, arguments.build)
    report = Report()
    remove_leftovers()
    run_all(report, arguments.build, arguments.binary, arguments.pattern, arguments.jobs)
    return report.finish()
