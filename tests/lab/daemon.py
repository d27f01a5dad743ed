"""The daemon under test: its configuration, its life, its counters."""

import collections
import json
import os
import re
import signal

from lab.process import LabError, run

# What a sanitizer prints; any of it fails the run that caused it.
SANITIZER_FINDING = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")
_COUNTER = re.compile(r"\bworker (\d+) ([\w.:\[\]-]+) (-?\d+)\s*$", re.MULTILINE)

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:halt_on_error=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "LSAN_OPTIONS": "suppressions=" + os.path.join(os.path.dirname(__file__), "lsan.supp")
                    + ":print_suppressions=0",
}


class Counters(collections.abc.Mapping):
    """One reading of the counters: sums over the workers by name; each worker's in `workers`."""

    def __init__(self, text):
        self.workers = collections.defaultdict(dict)
        for worker, name, value in _COUNTER.findall(text):
            self.workers[int(worker)][name] = int(value)
        self._sum = collections.Counter()
        for values in self.workers.values():
            self._sum.update(values)

    def __getitem__(self, name):
        if name not in self._sum:
            raise LabError(f"the daemon prints no counter {name}")
        return self._sum[name]

    def __iter__(self):
        return iter(self._sum)

    def __len__(self):
        return len(self._sum)

    def drops(self):
        """The drop causes that have counted something."""
        return {n: v for n, v in self._sum.items() if n.startswith("drop_") and v}

    def since(self, earlier):
        """What changed from an earlier reading to this one."""
        return {n: v - earlier[n] for n, v in self._sum.items() if v != earlier[n]}


class Sluice:
    """A running daemon in a namespace."""

    def __init__(self, namespace, binary, config_path):
        self.namespace = namespace
        self.binary = binary
        self.config_path = config_path
        self.process = None

    def start(self, wrapper=(), ready_timeout=30.0):
        """Starts it (through the command `wrapper`, if given) and waits until it is ready."""
        self.process = self.namespace.start(*wrapper, self.binary, "-c", self.config_path,
                                            name="sluice", env=SANITIZER_OPTIONS)
        self.process.wait_for(r"\bready\b", ready_timeout)
        return self

    def counters(self):
        mark = self.process.log_mark()
        self.process.signal(signal.SIGUSR1)
        self.process.wait_for(r"counters: end", since=mark)
        return Counters(self.process.log(mark))

    def ctl(self, *arguments, check=True, **options):
        """Runs sluicectl against the daemon, whose control socket is control_path."""
        tool = os.path.join(os.path.dirname(self.binary), "..", "ctl", "sluicectl")
        return run(tool, "--socket", self.control_path, *arguments, check=check,
                   env={**os.environ, **SANITIZER_OPTIONS}, **options)

    def ask(self, *arguments, **options):
        """What `sluicectl --json` prints, as values."""
        return json.loads(self.ctl("--json", *arguments, **options).stdout)

    @property
    def control_path(self):
        return os.path.join(os.path.dirname(self.config_path), "control.sock")

    def reload(self, pattern, timeout=30.0):
        """Sends SIGHUP and waits for a log line that matches."""
        mark = self.process.log_mark()
        self.process.signal(signal.SIGHUP)
        return self.process.wait_for(pattern, timeout, mark)

    def stop(self, timeout=60.0):
        """Drains, then checks that the daemon went in peace."""
        if self.process is None or self.process.status() is not None:
            return
        self.process.signal(signal.SIGTERM)
        self.process.wait(timeout)

    def verify_end(self, expected_status=0):
        """After the end: the exit status, and no finding of a sanitizer."""
        finding = SANITIZER_FINDING.search(self.process.log())
        if finding:
            raise LabError("sanitizer finding:\n" + self.process.log()[finding.start():][:6000])
        if self.process.status() != expected_status:
            raise LabError(f"sluice ended with status {self.process.status()}:\n"
                           + self.process.log()[-3000:])


def check(binary, config_path):
    """Runs `sluice --check`; returns its exit status and what it wrote."""
    result = run(binary, "--check", "-c", config_path, check=False,
                 env={**os.environ, **SANITIZER_OPTIONS})
    return result.returncode, result.stdout + result.stderr


def write_config(path, config):
    """Writes a configuration given as text, or as a dictionary (JSON is YAML in flow style)."""
    with open(path, "w", encoding="utf-8") as out:
        out.write(config if isinstance(config, str) else json.dumps(config, indent=2) + "\n")
