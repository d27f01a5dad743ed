"""Child processes whose output is kept in a file and can be waited for line by line."""

import ctypes
import os
import re
import signal
import subprocess
import time

CLOCK_TICK = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something in the laboratory itself, or a condition a scenario waited for, failed."""


def die_with_parent():
    """Runs in the child: a laboratory that is killed takes its processes with it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*command, check=True, timeout=60, **options):
    """Runs a command to its end and returns the result with text output."""
    command = [str(part) for part in command]
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                            errors="replace", check=False, **options)
    if check and result.returncode != 0:
        raise LabError(f"{' '.join(command)}: exit status {result.returncode}\n"
                       f"{result.stdout}{result.stderr}")
    return result


def wait_until(condition, what, timeout=10.0, interval=0.02):
    """Polls until condition() is true and returns its value; the deadline bounds a failure only.

    `what` is a text, or a function that makes one when it is needed.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise LabError(f"waited {timeout:g} s in vain: {told}")
        time.sleep(interval)


class Process:
    """A process in the background. Standard output and error go to one log file."""

    def __init__(self, command, log_path, name=None, env=None, stdin=subprocess.DEVNULL):
        self.command = [str(part) for part in command]
        self.name = name or os.path.basename(self.command[0])
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self._popen = subprocess.Popen(
                self.command, stdin=stdin, stdout=log, stderr=log,
                env=None if env is None else {**os.environ, **env},
                preexec_fn=die_with_parent)
        self.pid = self._popen.pid

    def log(self, since=0):
        """What it wrote, from byte `since` on."""
        with open(self.log_path, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def log_mark(self):
        """A position for log() and wait_for(): what is there now lies before it."""
        return os.path.getsize(self.log_path)

    def wait_for(self, pattern, timeout=10.0, since=0):
        """Waits for a line that matches; returns the match. Fails when the process ends first."""
        regex = re.compile(pattern, re.MULTILINE)

        def seen():
            ended = not self.running()
            match = regex.search(self.log(since))
            if match is None and ended:
                raise LabError(f"{self.name} ended (status {self.status()}) before it wrote "
                               f"/{pattern}/:\n{self.log()[-3000:]}")
            return match

        try:
            return wait_until(seen, f"/{pattern}/ in the log of {self.name}", timeout)
        except LabError as error:
            raise LabError(f"{error}\nlog of {self.name}:\n{self.log()[-3000:]}") from None

    def running(self):
        return self._popen.poll() is None

    def status(self):
        return self._popen.poll()

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, timeout=10.0):
        """Waits for the end and returns the exit status."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} still runs after {timeout:g} s\n"
                           f"{self.log()[-3000:]}") from None

    def stop(self, timeout=10.0):
        """Asks it to end, insists after the timeout."""
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        return self.status()

    def cpu_seconds(self):
        """User and system time of all its threads so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICK

    def cpu_share(self, seconds):
        """The part of one core that it uses over a span from now on."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / seconds

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * PAGE_SIZE
