"""What a test run prints: a line for each test, the log of a failure, one line at the end."""

import sys
import time

TAIL_LINES = 40


class Report:
    """Counts results; lines may come from several threads, a call each."""

    def __init__(self, out=sys.stdout):
        self.passed = 0
        self.failed = []
        self.skipped = 0
        self._out = out
        self._started = time.monotonic()

    def _line(self, verdict, name, seconds, more=""):
        took = "" if seconds is None else f"  ({seconds:.1f} s)"
        print(f"{verdict:4}  {name}{took}{more}", file=self._out, flush=True)

    def section(self, title):
        print(f"\n== {title}", file=self._out, flush=True)

    def ok(self, name, seconds=None):
        self.passed += 1
        self._line("ok", name, seconds)

    def fail(self, name, log, seconds=None):
        self.failed.append(name)
        self._line("FAIL", name, seconds)
        lines = log.rstrip().splitlines()
        if len(lines) > TAIL_LINES:
            print(f"      | … {len(lines) - TAIL_LINES} lines before", file=self._out)
        for line in lines[-TAIL_LINES:]:
            print(f"      | {line}", file=self._out)
        self._out.flush()

    def skip(self, name, reason):
        self.skipped += 1
        self._line("skip", name, None, f": {reason}")

    def finish(self):
        """Prints the last line; returns the exit status."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        print(f"\nfinished in {minutes} min {seconds} s", file=self._out)
        for name in self.failed:
            print(f"failed: {name}", file=self._out)
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {len(self.failed)} failed{skipped}", file=self._out,
              flush=True)
        return 1 if self.failed or not self.passed else 0
