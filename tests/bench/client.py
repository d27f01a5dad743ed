"""The wire lab's client, kload: started and warm, told to go, and what it reports."""

import json
import subprocess

from lab.process import LabError, die_with_parent

PATIENCE = 300  # seconds, for a failure only


class Client:
    """One client process; a context manager, which ends it."""

    def __init__(self, command, log):
        """Returns when its connections stand and have been used (kload_run.c)."""
        self.log = log
        with open(log, "wb") as errors:
            self._popen = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, text=True, preexec_fn=die_with_parent)
        self._line("ready")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.communicate()

    @property
    def pid(self):
        return self._popen.pid

    def _line(self, wanted=""):
        line = self._popen.stdout.readline()
        if not line.startswith(wanted) or not line:
            with open(self.log, encoding="utf-8", errors="replace") as errors:
                raise LabError(f"the client failed: {errors.read().strip()}")
        return line

    def go(self):
        """Has it begin."""
        self._popen.stdin.write("\n")
        self._popen.stdin.flush()

    def report(self):
        """Waits for its end; returns what it found. Every operation has succeeded."""
        report = json.loads(self._line("{"))
        if self._popen.wait(PATIENCE) != 0:
            raise LabError("the client failed after its report")
        return report

    def work(self):
        """Both."""
        self.go()
        return self.report()
