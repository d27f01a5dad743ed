"""Where the time of the thread that is measured goes: `make profile BENCH=row`.

perf samples the thread by its CPU clock while the row measures, which needs no hardware counters. Stacks
are unwound from what the compiler wrote for debuggers (DWARF): neither the tree nor Debian's
libraries keep frame pointers, and building it otherwise would be to profile something else.
"""

import collections
import contextlib
import os
import re
import signal

from bench import flamegraph
from lab.process import LabError, Process, run

FREQUENCY = 997         # samples a second; a prime, out of step with timers
STACK = 16384           # bytes of it that a sample takes along
THREADS = ("worker 0", "stack 0")
TOP = 40                # functions that the report has
FRAME = re.compile(r"\s+[0-9a-f]+ (.*) \((.*)\)$")
UNKNOWN = "[unknown]"   # perf's word for code without a symbol

_recorder = None        # the run's; None: nobody wants a profile


def thread_named(pid, names):
    """The id of the thread of a process that has one of the names."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as comm:
            if comm.read().strip() in names:
                return int(task)
    raise LabError(f"process {pid} has no thread named {' or '.join(names)}")


def samples(script):
    """The stacks of what perf prints, from the innermost frame out: (function, library) each."""
    for sample in script.split("\n\n"):
        frames = [FRAME.match(line) for line in sample.strip().splitlines()[1:]]
        stack = [(frame.group(1), os.path.basename(frame.group(2)).strip("[]"))
                 for frame in frames if frame]
        if stack:
            yield stack


def shares(names):
    """Lines: which part of all, the most frequent first."""
    count = collections.Counter(names)
    return "".join(f"{100 * n / count.total():6.2f} %  {name}\n"
                   for name, n in count.most_common(TOP))


class Recorder:
    """Samples of one row, and what is made of them."""

    def __init__(self, directory, name):
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._base = os.path.join(directory, name)
        self._recordings = 0

    def __enter__(self):
        global _recorder  # pylint: disable=global-statement
        _recorder = self
        return self

    def __exit__(self, *_):
        global _recorder  # pylint: disable=global-statement
        _recorder = None

    @contextlib.contextmanager
    def record(self, pid):
        """Samples until the block is left. Of several recordings the last is kept."""
        self._recordings += 1
        perf = Process(["perf", "record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "--call-graph",
                        f"dwarf,{STACK}", "-t", thread_named(pid, THREADS),
                        "-o", self._base + ".data"], self._base + ".log")
        try:
            yield
        finally:
            perf.signal(signal.SIGINT)
            perf.wait(120)

    def finish(self):
        """Writes the report and the flame graph; returns their paths."""
        if self._recordings == 0:
            raise LabError("the row measured nothing that could be recorded")
        data, name = self._base + ".data", os.path.basename(self._base)
        stacks = list(samples(run("perf", "script", "-F", "comm,ip,sym,dso",
                                  "--no-inline", "-i", data, timeout=1200).stdout))
        with open(self._base + ".txt", "w", encoding="utf-8") as out:
            out.write(f"{len(stacks)} samples at {FREQUENCY} Hz; by library, then by function\n\n"
                      + shares(library for (_, library), *_ in stacks) + "\n"
                      + shares(f"{name}  ({library})" for (name, library), *_ in stacks))
        with open(self._base + ".svg", "w", encoding="utf-8") as out:
            out.write(flamegraph.draw(flamegraph.fold(
                [f"[{library}]" if name == UNKNOWN else name for name, library in stack]
                for stack in stacks), name))
        os.unlink(data)
        return self._base + ".txt", self._base + ".svg"


def recording(pid):
    """A context in which the thread that is measured is sampled, when the run is for a profile."""
    return _recorder.record(pid) if _recorder else contextlib.nullcontext()
